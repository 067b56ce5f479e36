SELECT
  (
    LENGTH(email) <= 254
    AND REGEXP_INSTR(
      email,
      '^[!#-\'*+./0-9=?A-Z^-~¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+@([0-9A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]+[.])+([A-Za-z¡-¬®-؛؝-ᙿᚁ-᠍᠏-῿‌‍‐-‧‰-⁞⁰-⿿、-퟿豈-﻾＀-￯𐀀-𿿿-]{2,63}|[Xx][Nn]--[0-9A-Za-z-]{2,59})$'
    ) > 0
  ) AS valid,
  MD5(email) AS digest,
  CAST(GET(TRY_PARSE_JSON(payload), 'sku') AS VARCHAR) AS sku,
  (
    REGEXP_INSTR(sku, '^[0-9]{5}\\d?$', 1, 1, 0, 's') > 0
  ) AS coded,
  (
    CHARINDEX('%', email) > 0
  ) AS odd,
  CASE
    WHEN ABS(TRY_TO_DOUBLE(CAST(price AS VARCHAR))) < CAST('inf' AS DOUBLE)
    THEN TRY_TO_DOUBLE(CAST(price AS VARCHAR))
  END AS price,
  (
    RIGHT(email, LENGTH('@example.com')) = '@example.com'
  ) AS internal
FROM raw
