SELECT
  country,
  PERCENTILE(CAST(monetary AS DOUBLE), 0.5) AS mid,
  PERCENTILE(CAST(monetary AS DOUBLE), 0.9) AS high
FROM features
GROUP BY
  country
