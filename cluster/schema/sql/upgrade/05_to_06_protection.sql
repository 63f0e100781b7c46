-- 5 → 6: a patient that is not in the recycling order is protected.
--
-- Locks: none but those of new rows; reads all patients.

INSERT INTO Metadata (id, type, value, revision)
SELECT r.internalId, 18, 'true', 0
  FROM Resources r
 WHERE r.resourceType = 0
   AND NOT EXISTS (SELECT FROM PatientRecyclingOrder p WHERE p.patientId = r.internalId)
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;
