SELECT
  'big' AS segment,
  profile_id,
  LEFT(
    (
      'rfm.group = ' || "rfm.group" || ' and ' || CAST(ROUND(CAST(monetary_365d AS DECIMAL), 4) AS TEXT)
    ),
    500
  ) AS reason
FROM scored
WHERE
  "rfm.group" <> 'champions'
  AND "x.order" LIKE 'a%'
  AND (
    CAST(monetary_365d AS DOUBLE PRECISION) / NULLIF(CAST(orders_365d AS DOUBLE PRECISION), 0)
  ) > 2
  AND GREATEST(recency_days, 0, NULL) <= 60
  AND country IN ('DE', 'it''s')
