SELECT
  DATE_TRUNC('MONTH', CAST(ordered_at AS TIMESTAMP)) AS month,
  ISODOW(CAST(ordered_at AS TIMESTAMP)) AS weekday,
  DATE_TRUNC('WEEK', CAST(ordered_at AS TIMESTAMP)) AS week,
  (
    CAST(ordered_at AS TIMESTAMP) + CAST(30 AS BIGINT) * INTERVAL '1' DAY
  ) AS until,
  CAST(CAST(AVG(CAST(net_revenue AS DOUBLE)) AS TEXT) AS DECIMAL(18, 2)) AS mean,
  STDDEV_SAMP(CAST(net_revenue AS DOUBLE)) AS sd,
  COUNT(DISTINCT profile_id) AS people
FROM clean_orders
GROUP BY
  DATE_TRUNC('MONTH', CAST(ordered_at AS TIMESTAMP)),
  ISODOW(CAST(ordered_at AS TIMESTAMP)),
  DATE_TRUNC('WEEK', CAST(ordered_at AS TIMESTAMP)),
  (
    CAST(ordered_at AS TIMESTAMP) + CAST(30 AS BIGINT) * INTERVAL '1' DAY
  )
HAVING
  (
    COALESCE(MAX(CASE WHEN (
      NOT is_return
    ) THEN 1 ELSE 0 END), 0) = 1
  )
