SELECT
  profile_id,
  CAST(FLOOR(
    (
      EPOCH_US(CAST(CAST('2026-03-01 00:00:00' AS TIMESTAMP) AS TIMESTAMP)) - EPOCH_US(CAST(MAX(ordered_at) AS TIMESTAMP))
    ) / 86400000000
  ) AS BIGINT) AS recency_days,
  COUNT(CASE WHEN (
    ordered_at >= CAST('2025-03-01' AS TIMESTAMP)
  ) THEN 1 END) AS orders_365d,
  SUM(
    CASE WHEN (
      ordered_at >= CAST('2025-03-01' AS TIMESTAMP)
    ) THEN net_revenue END
  ) AS monetary_365d,
  (
    CAST(SUM(discount) AS DOUBLE) / NULLIF(CAST(SUM(gross) AS DOUBLE), 0)
  ) AS discount_share
FROM clean_orders
WHERE
  ordered_at < CAST('2026-03-01' AS TIMESTAMP) AND NOT is_return
GROUP BY
  profile_id
