SELECT
  profile_id,
  CASE
    WHEN TO_NUMBER(SUBSTRING(MD5((
      'salt:camp:1:' || profile_id
    )), 1, 8), 'XXXXXXXX') < 429496730
    THEN 'no_contact'
    ELSE 'treatment'
  END AS arm,
  (
    TO_NUMBER(SUBSTRING(MD5(profile_id), 1, 8), 'XXXXXXXX') % 7
  ) AS wave
FROM candidates
