-- 4 → 5: custom data of attachments, key-value stores, queues (interop/schema.md 12).
--
-- Locks: ACCESS EXCLUSIVE on AttachedFiles for a column without default.

ALTER TABLE AttachedFiles ADD COLUMN IF NOT EXISTS customData bytea;

CREATE TABLE IF NOT EXISTS KeyValueStores (
    storeId text NOT NULL,
    key text NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (storeId, key)
);

CREATE TABLE IF NOT EXISTS Queues (
    id bigserial PRIMARY KEY,
    queueId text NOT NULL,
    value bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS QueuesIndex ON Queues (queueId, id);

UPDATE GlobalProperties SET value = '5' WHERE property = 4;
