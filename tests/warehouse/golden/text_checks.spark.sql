SELECT
  (
    LENGTH(email) <= 254
    AND email RLIKE '^[!#-\'*+./0-9=?A-Z^-~¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+@([0-9A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+[.])+([A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]{2,63}|[Xx][Nn]--[0-9A-Za-z-]{2,59})$'
  ) AS valid,
  MD5(email) AS digest,
  (
    GET_JSON_OBJECT(payload, CONCAT('$.', 'sku'))
  ) AS sku,
  (
    sku RLIKE CONCAT('(?s)', '^[0-9]{5}\\d?$')
  ) AS coded,
  (
    LOCATE('%', email) > 0
  ) AS odd,
  CASE
    WHEN ABS(TRY_CAST(price AS DOUBLE)) < CAST('Infinity' AS DOUBLE)
    THEN TRY_CAST(price AS DOUBLE)
  END AS price,
  (
    RIGHT(email, LENGTH('@example.com')) = '@example.com'
  ) AS internal
FROM raw
