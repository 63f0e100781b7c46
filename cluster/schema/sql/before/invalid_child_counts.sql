-- hold --
-- Purpose: some resources whose children are to be counted anew, leaving those that another session holds.
-- Locks: their rows; FOR NO KEY UPDATE, so that nobody who adds a child waits.
SELECT r.internalId FROM Resources r
 WHERE r.internalId IN (SELECT i.id FROM InvalidChildCounts i LIMIT 20000)
 ORDER BY r.internalId LIMIT 2000 FOR NO KEY UPDATE SKIP LOCKED

-- batch --
-- Purpose: counted, and no longer listed; what is listed later than this is counted again later.
-- Locks: as before, and the rows of the list.
WITH listed AS (
    DELETE FROM InvalidChildCounts WHERE id = ANY (%(held)s) RETURNING id
), counted AS (
    UPDATE Resources AS r
       SET childCount = (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId)
     WHERE r.internalId IN (SELECT id FROM listed)
)
SELECT count(*) FROM listed
