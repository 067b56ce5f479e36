SELECT
  'big' AS segment,
  profile_id,
  LEFT(
    (
      'rfm.group = ' || "rfm.group" || ' and ' || (
        pg_temp.house_text((
          pg_temp.house_round(monetary_365d, 4)
        )) COLLATE "C"
      )
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
