SELECT
  'big' AS segment,
  profile_id,
  LEFT(
    (
      'rfm.group = ' || `rfm__group` || ' and ' || CAST(ROUND(monetary_365d, 4) AS STRING)
    ),
    500
  ) AS reason
FROM scored
WHERE
  `rfm__group` <> 'champions'
  AND `x__order` LIKE 'a%'
  AND (
    CAST(monetary_365d AS FLOAT64) / NULLIF(CAST(orders_365d AS FLOAT64), 0)
  ) > 2
  AND GREATEST(
    COALESCE(GREATEST(COALESCE(recency_days, 0), COALESCE(0, recency_days)), NULL),
    COALESCE(NULL, GREATEST(COALESCE(recency_days, 0), COALESCE(0, recency_days)))
  ) <= 60
  AND country IN ('DE', 'it\'s')
