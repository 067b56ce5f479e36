SELECT
  (
    LENGTH(email) <= 254
    AND REGEXP_CONTAINS(
      email,
      '^[!#-\'*+./0-9=?A-Z^-~¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+@([0-9A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+[.])+([A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]{2,63}|[Xx][Nn]--[0-9A-Za-z-]{2,59})$'
    )
  ) AS valid,
  TO_HEX(MD5(email)) AS digest,
  (
    JSON_VALUE(payload, CONCAT('$.', 'sku'))
  ) AS sku,
  (
    REGEXP_CONTAINS(sku, CONCAT('(?s)', '^[0-9]{5}\\d?$'))
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
