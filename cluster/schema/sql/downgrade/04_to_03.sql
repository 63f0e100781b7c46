-- 4 → 3: child counts that wait to be recounted are made exact, as the triggers of revision 3 only add and subtract
-- (interop/schema.md 13).
--
-- Locks: the Resources rows listed in InvalidChildCounts.

UPDATE Resources AS r
   SET childCount = (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId)
 WHERE r.internalId IN (SELECT i.id FROM InvalidChildCounts i);
DROP TABLE InvalidChildCounts;

UPDATE GlobalProperties SET value = '3' WHERE property = 4;
