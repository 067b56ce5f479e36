WITH numbered AS (
  SELECT
    c.*,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY updated_at DESC NULLS LAST, email) AS place
  FROM shop.customers AS c
)
SELECT
  customer_id,
  (
    LOWER(email COLLATE pg_temp.folding) COLLATE "C"
  ) AS email,
  (
    (
      CAST(created_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin'
    ) AT TIME ZONE 'UTC'
  ) AS at
FROM numbered
WHERE
  place = 1
