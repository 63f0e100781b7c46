-- The number of the last change stays in sqlite_sequence when its row is deleted.

-- changes_since --
WITH page AS (
    SELECT c.seq, c.changeType, c.resourceType, c.date, c.internalId
      FROM Changes c
     WHERE c.seq > :since
       AND (:to IS NULL OR c.seq <= :to)
       AND (:types IS NULL OR c.changeType IN (SELECT value FROM json_each(:types)))
     ORDER BY c.seq
     LIMIT :limit
)
SELECT g.last, page.seq, page.changeType, page.resourceType - 1, r.publicId, page.date
  FROM (SELECT coalesce((SELECT s.seq FROM sqlite_sequence s WHERE s.name = 'Changes'), 0) AS last) AS g
  LEFT JOIN page ON true
  LEFT JOIN Resources r ON r.internalId = page.internalId
 ORDER BY page.seq

-- changes_until --
WITH page AS (
    SELECT c.seq, c.changeType, c.resourceType, c.date, c.internalId
      FROM Changes c
     WHERE (:to IS NULL OR c.seq <= :to)
       AND (:types IS NULL OR c.changeType IN (SELECT value FROM json_each(:types)))
     ORDER BY c.seq DESC
     LIMIT :limit
)
SELECT g.last, page.seq, page.changeType, page.resourceType - 1, r.publicId, page.date
  FROM (SELECT coalesce((SELECT s.seq FROM sqlite_sequence s WHERE s.name = 'Changes'), 0) AS last) AS g
  LEFT JOIN page ON true
  LEFT JOIN Resources r ON r.internalId = page.internalId
 ORDER BY page.seq

-- delete_changes --
DELETE FROM Changes WHERE seq IN (SELECT c.seq FROM Changes c WHERE c.seq <= :upto ORDER BY c.seq LIMIT :limit)
