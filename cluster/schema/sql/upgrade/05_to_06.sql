-- 5 → 6: protection and recycling order become metadata 18 and 19, resources are no longer deleted by cascade, audit
-- logs (interop/schema.md 12). Protection and order follow in 05_to_06_protection.sql and 05_to_06_recycling.sql.
--
-- Locks: ACCESS EXCLUSIVE on Resources while the foreign key is checked for every row, unless a new one was validated
-- beforehand.

CREATE SEQUENCE IF NOT EXISTS PatientRecyclingOrderSequence;

ALTER TABLE Resources DROP CONSTRAINT resources_parentid_fkey;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'resources_parentid_fkey_next'
                  AND conrelid = 'Resources'::regclass AND convalidated) THEN
        ALTER TABLE Resources RENAME CONSTRAINT resources_parentid_fkey_next TO resources_parentid_fkey;
        ALTER TABLE Resources ALTER CONSTRAINT resources_parentid_fkey NOT DEFERRABLE;
    ELSE
        ALTER TABLE Resources DROP CONSTRAINT IF EXISTS resources_parentid_fkey_next;
        ALTER TABLE Resources
            ADD CONSTRAINT resources_parentid_fkey FOREIGN KEY (parentId) REFERENCES Resources (internalId);
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS AuditLogs (
    ts timestamp without time zone DEFAULT now(),
    sourcePlugin text NOT NULL,
    userId text NOT NULL,
    resourceType integer NOT NULL,
    resourceId varchar(64) NOT NULL,
    action text NOT NULL,
    logData bytea
);
CREATE INDEX IF NOT EXISTS AuditLogsUserId ON AuditLogs (userId);
CREATE INDEX IF NOT EXISTS AuditLogsResourceId ON AuditLogs (resourceId);
CREATE INDEX IF NOT EXISTS AuditLogsAction ON AuditLogs (action);
CREATE INDEX IF NOT EXISTS AuditLogsSourcePlugin ON AuditLogs (sourcePlugin);
CREATE INDEX IF NOT EXISTS InvalidChildCountsId ON InvalidChildCounts (id);

UPDATE GlobalProperties SET value = '6' WHERE property = 4;
INSERT INTO GlobalProperties (property, value) VALUES (11, '3') ON CONFLICT (property) DO UPDATE SET value = '3';
