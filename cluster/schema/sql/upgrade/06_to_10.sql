-- 6 → 10: keys for two tables, reservations in queues (interop/schema.md 12). 7, 8 and 9 were never used.
--
-- Locks: ACCESS EXCLUSIVE on GlobalIntegersChanges and InvalidChildCounts while they are rewritten (small where
-- housekeeping runs), and on Queues for a column without default.

ALTER TABLE InvalidChildCounts ADD COLUMN IF NOT EXISTS pk bigserial PRIMARY KEY;
ALTER TABLE GlobalIntegersChanges ADD COLUMN IF NOT EXISTS pk bigserial PRIMARY KEY;
-- Orthanc's own downgrade leaves this column behind.
ALTER TABLE Queues ADD COLUMN IF NOT EXISTS reservedUntil bigint;

-- Left by revision 2 where the plugin made the later steps.
DELETE FROM GlobalIntegers WHERE key = 7;

DELETE FROM GlobalProperties WHERE property IN (4, 6, 10, 11, 12, 13, 14);
INSERT INTO GlobalProperties (property, value)
VALUES (4, '10'), (6, '1'), (10, '1'), (11, '3'), (12, '1'), (13, '1'), (14, '1');
