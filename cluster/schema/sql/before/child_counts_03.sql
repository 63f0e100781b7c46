-- end --
-- Purpose: the last resource that may have a wrong count.
-- Locks: none.
SELECT coalesce(max(internalId), 0) FROM Resources

-- hold --
-- Purpose: the resources of a window whose count is to be compared; whoever counts a child up or down waits for us, or
-- has committed when the next statement looks.
-- Locks: rows of Resources.
SELECT internalId FROM Resources
 WHERE internalId > %(after)s AND internalId <= %(upto)s AND resourceType < 3 AND childCount IS NOT NULL
 ORDER BY internalId FOR NO KEY UPDATE

-- batch --
-- Purpose: the right count for those whose count is wrong.
-- Locks: as before.
UPDATE Resources AS r
   SET childCount = c.number
  FROM (SELECT p.internalId, count(k.internalId)::integer AS number
          FROM Resources p LEFT JOIN Resources k ON k.parentId = p.internalId
         WHERE p.internalId > %(after)s AND p.internalId <= %(upto)s AND p.resourceType < 3 AND p.childCount IS NOT NULL
         GROUP BY p.internalId) AS c
 WHERE r.internalId = c.internalId AND r.childCount <> c.number
