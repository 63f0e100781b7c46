-- 5 → 4 (interop/schema.md 13). Lost: custom data of attachments, key-value stores, queues.
--
-- Locks: ACCESS EXCLUSIVE on AttachedFiles; nothing is rewritten.

ALTER TABLE AttachedFiles DROP COLUMN IF EXISTS customData;
DROP TABLE IF EXISTS KeyValueStores, Queues;

UPDATE GlobalProperties SET value = '4' WHERE property = 4;
