-- 3 → 4: child counts are recounted by housekeeping instead of kept by the writers (interop/schema.md 12).
--
-- Locks: those of an update of the rows whose count is wrong; reads Resources once.

CREATE TABLE IF NOT EXISTS InvalidChildCounts (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    updatedAt timestamp without time zone DEFAULT now()
);

-- The trigger of revision 3 counted from 1 where the count was unknown; nothing later would ever correct that.
UPDATE Resources AS r
   SET childCount = NULL
 WHERE r.resourceType < 3 AND r.childCount IS NOT NULL
   AND r.childCount <> (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId);

UPDATE GlobalProperties SET value = '4' WHERE property = 4;
INSERT INTO GlobalProperties (property, value) VALUES (11, '3') ON CONFLICT (property) DO UPDATE SET value = '3';
