SELECT
  (
    LENGTH(email) <= 254
    AND REGEXP_MATCHES(
      email,
      '^[^@,;:<>()\s"\\\[\]]+@([^@,;:<>()\s"\\\[\]._]+[.])+[^@,;:<>()\s"\\\[\]._0-9]{2,63}$'
    )
  ) AS valid,
  MD5(email) AS digest,
  (
    payload ->> (
      '$.' || 'sku'
    )
  ) AS sku,
  (
    REGEXP_MATCHES(sku, '^[0-9]{5}\d?$')
  ) AS coded,
  (
    STRPOS(email, '%') > 0
  ) AS odd,
  CASE WHEN ISFINITE(TRY_CAST(price AS DOUBLE)) THEN TRY_CAST(price AS DOUBLE) END AS price,
  (
    RIGHT(email, LENGTH('@example.com')) = '@example.com'
  ) AS internal
FROM raw
