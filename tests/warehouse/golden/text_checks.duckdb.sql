SELECT
  (
    LENGTH(email) <= 254
    AND REGEXP_MATCHES(
      email,
      '^[!#-''*+./0-9=?A-Z^-~¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+@([0-9A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+[.])+([A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]{2,63}|[Xx][Nn]--[0-9A-Za-z-]{2,59})$'
    )
  ) AS valid,
  MD5(email) AS digest,
  CASE WHEN JSON_VALID(payload) THEN payload ->> (
    '$.' || 'sku'
  ) END AS sku,
  (
    REGEXP_MATCHES(sku, '^[0-9]{5}\d?$', 's')
  ) AS coded,
  (
    STRPOS(email, '%') > 0
  ) AS odd,
  CASE
    WHEN ISFINITE(TRY_CAST(price AS DOUBLE)) AND STRPOS(CAST(price AS TEXT), '_') = 0
    THEN TRY_CAST(price AS DOUBLE)
  END AS price,
  (
    RIGHT(email, LENGTH('@example.com')) = '@example.com'
  ) AS internal
FROM raw
