-- 10 → 6 (interop/schema.md 13). Messages of queues that are reserved become free again: revision 6 knows no
-- reservation.
--
-- Locks: ACCESS EXCLUSIVE on InvalidChildCounts, GlobalIntegersChanges and Queues; nothing is rewritten.

ALTER TABLE InvalidChildCounts DROP COLUMN IF EXISTS pk;
ALTER TABLE GlobalIntegersChanges DROP COLUMN IF EXISTS pk;
ALTER TABLE Queues DROP COLUMN IF EXISTS reservedUntil;

UPDATE GlobalProperties SET value = '6' WHERE property = 4;
