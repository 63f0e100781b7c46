-- 5 → 6: protection and recycling order become metadata 18 and 19, resources are no longer deleted by cascade, audit
-- logs (interop/schema.md 12). The numbers of the recycling order are kept where Orthanc can read them (32 bits).
--
-- Locks: ACCESS EXCLUSIVE on Resources while the foreign key is checked for every row.

CREATE SEQUENCE IF NOT EXISTS PatientRecyclingOrderSequence;

INSERT INTO Metadata (id, type, value, revision)
SELECT r.internalId, 18, 'true', 0
  FROM Resources r
 WHERE r.resourceType = 0
   AND NOT EXISTS (SELECT FROM PatientRecyclingOrder p WHERE p.patientId = r.internalId)
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;

INSERT INTO Metadata (id, type, value, revision)
SELECT o.patientId, 19, o.place::text, 0
  FROM (SELECT p.patientId,
               CASE WHEN max(p.seq) OVER () < 1000000000 THEN p.seq ELSE row_number() OVER (ORDER BY p.seq) END AS place
          FROM PatientRecyclingOrder p WHERE p.patientId IS NOT NULL) AS o
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;

SELECT setval('PatientRecyclingOrderSequence', max(m.value::bigint))
  FROM Metadata m WHERE m.type = 19 HAVING count(*) > 0;

DROP TABLE PatientRecyclingOrder;

ALTER TABLE Resources DROP CONSTRAINT resources_parentid_fkey;
ALTER TABLE Resources
    ADD CONSTRAINT resources_parentid_fkey FOREIGN KEY (parentId) REFERENCES Resources (internalId);

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
