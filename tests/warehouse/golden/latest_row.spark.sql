WITH numbered AS (
  SELECT
    c.*,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY updated_at DESC, email NULLS LAST) AS place
  FROM shop.customers AS c
)
SELECT
  customer_id,
  LOWER(email) AS email,
  CAST(TO_UTC_TIMESTAMP(CAST(created_at AS TIMESTAMP), 'Europe/Berlin') AS TIMESTAMP_NTZ) AS at
FROM numbered
WHERE
  place = 1
