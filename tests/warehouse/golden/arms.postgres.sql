SELECT
  profile_id,
  CASE
    WHEN CAST(CAST('x' || SUBSTRING(MD5((
      'salt:camp:1:' || profile_id
    )) FROM 1 FOR 8) AS BIT(32)) AS BIGINT) < 429496730
    THEN 'no_contact'
    ELSE 'treatment'
  END AS arm,
  (
    CAST(CAST('x' || SUBSTRING(MD5(profile_id) FROM 1 FOR 8) AS BIT(32)) AS BIGINT) % 7
  ) AS wave
FROM candidates
