SELECT
  profile_id,
  CASE
    WHEN CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5((
      'salt:camp:1:' || profile_id
    ))), 1, 8)) AS INT64) < 429496730
    THEN 'no_contact'
    ELSE 'treatment'
  END AS arm,
  (
    MOD(CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5(profile_id)), 1, 8)) AS INT64), 7)
  ) AS wave
FROM candidates
