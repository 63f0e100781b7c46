-- 3 → 4: child counts that are wrong are forgotten. Before a switch they were corrected already
-- (before/child_counts_03.sql).
--
-- Locks: those of an update of the rows whose count is wrong; reads Resources once.

-- The trigger of revision 3 counted from 1 where the count was unknown; nothing later would ever correct that.
UPDATE Resources AS r
   SET childCount = NULL
 WHERE r.resourceType < 3 AND r.childCount IS NOT NULL
   AND r.childCount <> (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId);
