SELECT
  p.profile_id
FROM profiles AS p
LEFT JOIN exclusions AS e
  ON e.profile_id = p.profile_id
WHERE
  e.profile_id IS NULL
  AND EXISTS(
    SELECT
      1
    FROM permissions AS q
    WHERE
      q.profile_id = p.profile_id
  )
UNION ALL
SELECT
  'nobody' AS profile_id
