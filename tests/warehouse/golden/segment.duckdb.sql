SELECT
  'big' AS segment,
  profile_id,
  LEFT(
    (
      'rfm.group = ' || "rfm.group" || ' and ' || CAST(ROUND(monetary_365d, 4) AS TEXT)
    ),
    500
  ) AS reason
FROM scored
WHERE
  "rfm.group" <> 'champions'
  AND "x.order" LIKE 'a%'
  AND (
    CAST(monetary_365d AS DOUBLE) / NULLIF(CAST(orders_365d AS DOUBLE), 0)
  ) > 2
  AND GREATEST(recency_days, 0, NULL) <= 60
  AND country IN ('DE', 'it''s')
