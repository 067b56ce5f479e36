SELECT
  DATE_TRUNC('MONTH', CAST(ordered_at AS TIMESTAMP_NTZ)) AS month,
  (
    WEEKDAY(CAST(ordered_at AS TIMESTAMP)) + 1
  ) AS weekday,
  DATE_TRUNC('WEEK', CAST(ordered_at AS TIMESTAMP_NTZ)) AS week,
  (
    CAST(ordered_at AS TIMESTAMP) + 30 * INTERVAL '1' DAY
  ) AS until,
  CAST(CAST(AVG(CAST(net_revenue AS DOUBLE)) AS STRING) AS DECIMAL(18, 2)) AS mean,
  STDDEV_SAMP(CAST(net_revenue AS DOUBLE)) AS sd,
  COUNT(DISTINCT profile_id) AS people
FROM clean_orders
GROUP BY
  DATE_TRUNC('MONTH', CAST(ordered_at AS TIMESTAMP_NTZ)),
  (
    WEEKDAY(CAST(ordered_at AS TIMESTAMP)) + 1
  ),
  DATE_TRUNC('WEEK', CAST(ordered_at AS TIMESTAMP_NTZ)),
  (
    CAST(ordered_at AS TIMESTAMP) + 30 * INTERVAL '1' DAY
  )
HAVING
  (
    COALESCE(MAX(CASE WHEN (
      NOT is_return
    ) THEN 1 ELSE 0 END), 0) = 1
  )
