WITH numbered AS (
  SELECT
    c.*,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY updated_at DESC NULLS LAST, email) AS place
  FROM shop.customers AS c
)
SELECT
  customer_id,
  LOWER(email) AS email,
  CONVERT_TIMEZONE('Europe/Berlin', 'UTC', CAST(created_at AS TIMESTAMP)) AS at
FROM numbered
WHERE
  place = 1
