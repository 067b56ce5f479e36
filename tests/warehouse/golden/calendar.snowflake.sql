SELECT
  DATE_TRUNC('MONTH', CAST(ordered_at AS TIMESTAMPNTZ)) AS month,
  DAYOFWEEKISO(CAST(ordered_at AS TIMESTAMP)) AS weekday,
  DATE_TRUNC('WEEK', CAST(ordered_at AS TIMESTAMPNTZ)) AS week,
  DATEADD(DAY, 30, CAST(ordered_at AS TIMESTAMP)) AS until,
  CAST(AVG(CAST(net_revenue AS DOUBLE)) AS DECIMAL(18, 2)) AS mean,
  STDDEV(CAST(net_revenue AS DOUBLE)) AS sd,
  COUNT(DISTINCT profile_id) AS people
FROM clean_orders
GROUP BY
  DATE_TRUNC('MONTH', CAST(ordered_at AS TIMESTAMPNTZ)),
  DAYOFWEEKISO(CAST(ordered_at AS TIMESTAMP)),
  DATE_TRUNC('WEEK', CAST(ordered_at AS TIMESTAMPNTZ)),
  DATEADD(DAY, 30, CAST(ordered_at AS TIMESTAMP))
HAVING
  (
    COALESCE(MAX(CASE WHEN (
      NOT is_return
    ) THEN 1 ELSE 0 END), 0) = 1
  )
