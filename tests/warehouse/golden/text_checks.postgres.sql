SELECT
  (
    LENGTH(email) <= 254
    AND email COLLATE "C" ~ '^[!#-''*+./0-9=?A-Z^-~¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+@([0-9A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+[.])+([A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]{2,63}|[Xx][Nn]--[0-9A-Za-z-]{2,59})$'
  ) AS valid,
  MD5(email) AS digest,
  CASE
    WHEN PG_INPUT_IS_VALID(CAST(payload AS TEXT), 'json')
    THEN CAST(payload AS JSON) ->> 'sku'
  END AS sku,
  (
    sku COLLATE "C" ~ '^[0-9]{5}\d?$'
  ) AS coded,
  (
    POSITION('%' IN email) > 0
  ) AS odd,
  CASE
    WHEN PG_INPUT_IS_VALID(CAST(price AS TEXT), 'double precision')
    AND LOWER(TRIM(CAST(price AS TEXT))) ~ '^[-+.0-9e]+$'
    THEN CAST(CAST(price AS TEXT) AS DOUBLE PRECISION)
  END AS price,
  (
    RIGHT(email, LENGTH('@example.com')) = '@example.com'
  ) AS internal
FROM raw
