SELECT
  profile_id,
  CAST(FLOOR(
    (
      DATETIME_DIFF(
        CAST(CAST('2026-03-01 00:00:00' AS DATETIME) AS DATETIME),
        CAST(MAX(ordered_at) AS DATETIME),
        MICROSECOND
      )
    ) / 86400000000
  ) AS INT64) AS recency_days,
  COUNT(CASE WHEN (
    ordered_at >= CAST('2025-03-01' AS DATETIME)
  ) THEN 1 END) AS orders_365d,
  SUM(
    CASE WHEN (
      ordered_at >= CAST('2025-03-01' AS DATETIME)
    ) THEN net_revenue END
  ) AS monetary_365d,
  (
    CAST(SUM(discount) AS FLOAT64) / NULLIF(CAST(SUM(gross) AS FLOAT64), 0)
  ) AS discount_share
FROM clean_orders
WHERE
  ordered_at < CAST('2026-03-01' AS DATETIME) AND NOT is_return
GROUP BY
  profile_id
