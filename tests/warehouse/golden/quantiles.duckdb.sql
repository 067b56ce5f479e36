SELECT
  country,
  QUANTILE_CONT(CAST(monetary AS DOUBLE), 0.5) AS mid,
  QUANTILE_CONT(CAST(monetary AS DOUBLE), 0.9) AS high
FROM features
GROUP BY
  country
