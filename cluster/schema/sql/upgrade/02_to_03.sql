-- 2 → 3: child counts, and two indexes for searches (interop/schema.md 12).
-- The counts stay unknown (NULL) here; ComputeMissingChildCount fills them while the archive runs.
--
-- Locks: SHARE on Resources and DicomIdentifiers while an index of each is built (full scans), then ACCESS EXCLUSIVE
-- on Resources for a column without default. An index that was built CONCURRENTLY beforehand is taken as it is.

CREATE INDEX IF NOT EXISTS ChildrenIndex2 ON Resources (parentId) INCLUDE (publicId, internalId);
DROP INDEX IF EXISTS ChildrenIndex;
CREATE INDEX IF NOT EXISTS DicomIdentifiersIndex3 ON DicomIdentifiers (tagGroup, tagElement, value);
ALTER TABLE Resources ADD COLUMN IF NOT EXISTS childCount integer;

-- Revision 2 numbered the recycling order by GlobalIntegers 7, from here on the table's own sequence does.
SELECT setval(pg_get_serial_sequence('PatientRecyclingOrder', 'seq'),
              greatest(max(p.seq), (SELECT g.value FROM GlobalIntegers g WHERE g.key = 7), 1),
              max(p.seq) IS NOT NULL OR EXISTS (SELECT FROM GlobalIntegers g WHERE g.key = 7 AND g.value > 0))
  FROM PatientRecyclingOrder p;
DELETE FROM GlobalIntegers WHERE key = 7;

DELETE FROM GlobalProperties WHERE property IN (4, 11, 14);
INSERT INTO GlobalProperties (property, value) VALUES (4, '3'), (11, '3'), (14, '1');
