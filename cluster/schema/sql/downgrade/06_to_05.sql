-- 6 → 5: protection and recycling order go back into PatientRecyclingOrder, with their numbers (interop/schema.md 13).
-- Lost: AuditLogs.
--
-- Locks: ACCESS EXCLUSIVE on Resources while the foreign key is checked for every row.

CREATE TABLE PatientRecyclingOrder (
    seq bigserial PRIMARY KEY,
    patientId bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    CONSTRAINT uniquepatientid UNIQUE (patientId)
);
CREATE INDEX PatientRecyclingIndex ON PatientRecyclingOrder (patientId);

-- No two patients have the same number unless somebody wrote one by hand; then both are numbered anew.
INSERT INTO PatientRecyclingOrder (seq, patientId)
SELECT CASE WHEN (SELECT count(*) = count(DISTINCT u.value::bigint) FROM Metadata u WHERE u.type = 19)
            THEN m.value::bigint
            ELSE row_number() OVER (ORDER BY m.value::bigint, m.id) END,
       m.id
  FROM Metadata m
 WHERE m.type = 19
   AND NOT EXISTS (SELECT FROM Metadata p WHERE p.id = m.id AND p.type = 18 AND p.value = 'true');
SELECT setval(pg_get_serial_sequence('PatientRecyclingOrder', 'seq'), greatest(max(p.seq), s.last_value))
  FROM PatientRecyclingOrder p CROSS JOIN PatientRecyclingOrderSequence s
 WHERE s.is_called GROUP BY s.last_value;

DELETE FROM Metadata WHERE type IN (18, 19);
DROP SEQUENCE PatientRecyclingOrderSequence;

ALTER TABLE Resources DROP CONSTRAINT resources_parentid_fkey;
ALTER TABLE Resources
    ADD CONSTRAINT resources_parentid_fkey FOREIGN KEY (parentId) REFERENCES Resources (internalId) ON DELETE CASCADE;

DROP TABLE AuditLogs;
DROP INDEX IF EXISTS InvalidChildCountsId;

UPDATE GlobalProperties SET value = '5' WHERE property = 4;
