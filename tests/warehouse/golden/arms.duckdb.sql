SELECT
  profile_id,
  CASE
    WHEN CAST('0x' || SUBSTRING(MD5((
      'salt:camp:1:' || profile_id
    )), 1, 8) AS BIGINT) < 429496730
    THEN 'no_contact'
    ELSE 'treatment'
  END AS arm,
  (
    CAST('0x' || SUBSTRING(MD5(profile_id), 1, 8) AS BIGINT) % 7
  ) AS wave
FROM candidates
