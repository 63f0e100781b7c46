-- 3 → 2: no child counts, the older index of children (interop/schema.md 13).
--
-- Locks: ACCESS EXCLUSIVE on Resources while an index is built.

ALTER TABLE Resources DROP COLUMN IF EXISTS childCount;
CREATE INDEX IF NOT EXISTS ChildrenIndex ON Resources (parentId);
DROP INDEX IF EXISTS ChildrenIndex2;
DROP INDEX IF EXISTS DicomIdentifiersIndex3;

-- Revision 2 numbers the recycling order by GlobalIntegers 7.
INSERT INTO GlobalIntegers (key, value)
SELECT 7, greatest(coalesce(max(p.seq), 0), CASE WHEN bool_and(s.is_called) THEN max(s.last_value) ELSE 0 END)
  FROM patientrecyclingorder_seq_seq s LEFT JOIN PatientRecyclingOrder p ON true
    ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value;

DELETE FROM GlobalProperties WHERE property = 14;
UPDATE GlobalProperties SET value = '2' WHERE property = 4;
