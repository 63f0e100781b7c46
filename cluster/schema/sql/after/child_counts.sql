-- end --
-- Purpose: the last resource that may lack a count: later ones got theirs when they were created.
-- Locks: none.
SELECT coalesce(max(internalId), 0) FROM Resources

-- batch --
-- Purpose: the children of the resources of a window are counted where nobody has counted them yet. A child that is
-- being added meanwhile has its parent in InvalidChildCounts, so it is counted later.
-- Locks: rows of Resources FOR NO KEY UPDATE: who adds a child does not wait.
WITH uncounted AS MATERIALIZED (
    SELECT internalId FROM Resources
     WHERE internalId > %(after)s AND internalId <= %(upto)s AND resourceType < 3 AND childCount IS NULL
     ORDER BY internalId FOR NO KEY UPDATE
), counted AS (
    SELECT u.internalId, count(c.internalId)::integer AS number
      FROM uncounted u LEFT JOIN Resources c ON c.parentId = u.internalId
     GROUP BY u.internalId
)
UPDATE Resources AS r SET childCount = c.number FROM counted c WHERE r.internalId = c.internalId
