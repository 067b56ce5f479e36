SELECT
  x,
  SUM(n) OVER (ORDER BY x NULLS FIRST) AS up_to,
  LAG(x) OVER (ORDER BY x) AS before
FROM (
  SELECT
    monetary AS x,
    COUNT(*) AS n
  FROM features
  WHERE
    NOT monetary IS NULL
  GROUP BY
    monetary
) AS histogram
ORDER BY
  x
