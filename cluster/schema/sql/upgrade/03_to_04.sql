-- 3 → 4: child counts are recounted by housekeeping instead of kept by the writers (interop/schema.md 12).
--
-- Locks: SHARE ROW EXCLUSIVE on Resources, for the foreign key of an empty table.

CREATE TABLE IF NOT EXISTS InvalidChildCounts (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    updatedAt timestamp without time zone DEFAULT now()
);

UPDATE GlobalProperties SET value = '4' WHERE property = 4;
INSERT INTO GlobalProperties (property, value) VALUES (11, '3') ON CONFLICT (property) DO UPDATE SET value = '3';
