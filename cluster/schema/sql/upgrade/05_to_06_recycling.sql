-- 5 → 6: the recycling order becomes metadata 19, at once. Its numbers are kept where Orthanc can read them (32 bits).
--
-- Locks: ACCESS EXCLUSIVE on PatientRecyclingOrder and, for its foreign key, on Resources.

INSERT INTO Metadata (id, type, value, revision)
SELECT o.patientId, 19, o.place::text, 0
  FROM (SELECT p.patientId,
               CASE WHEN max(p.seq) OVER () < 1000000000 THEN p.seq ELSE row_number() OVER (ORDER BY p.seq) END AS place
          FROM PatientRecyclingOrder p WHERE p.patientId IS NOT NULL) AS o
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;

SELECT setval('PatientRecyclingOrderSequence', max(m.value::bigint))
  FROM Metadata m WHERE m.type = 19 HAVING count(*) > 0;

DROP TABLE PatientRecyclingOrder;
