SELECT
  (
    LENGTH(email) <= 254
    AND REGEXP_CONTAINS(
      email,
      '^[^@,;:<>()\\s"\\\\\\[\\]]+@([^@,;:<>()\\s"\\\\\\[\\]._]+[.])+[^@,;:<>()\\s"\\\\\\[\\]._0-9]{2,63}$'
    )
  ) AS valid,
  TO_HEX(MD5(email)) AS digest,
  (
    JSON_VALUE(payload, CONCAT('$.', 'sku'))
  ) AS sku,
  (
    REGEXP_CONTAINS(sku, '^[0-9]{5}\\d?$')
  ) AS coded,
  (
    INSTR(email, '%') > 0
  ) AS odd,
  CASE
    WHEN ABS(SAFE_CAST(price AS FLOAT64)) < CAST('inf' AS FLOAT64)
    THEN SAFE_CAST(price AS FLOAT64)
  END AS price,
  (
    RIGHT(email, LENGTH('@example.com')) = '@example.com'
  ) AS internal
FROM raw
