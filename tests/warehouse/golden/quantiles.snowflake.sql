SELECT
  country,
  (
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
      CAST(monetary AS DOUBLE))
  ) AS mid,
  (
    PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY
      CAST(monetary AS DOUBLE))
  ) AS high
FROM features
GROUP BY
  country
