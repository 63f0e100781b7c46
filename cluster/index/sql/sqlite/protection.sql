-- is_protected --
SELECT NOT EXISTS (SELECT 1 FROM PatientRecyclingOrder o WHERE o.patientId = r.internalId)
  FROM Resources r
 WHERE r.publicId = :public_id AND +r.resourceType = 1

-- protect --
DELETE FROM PatientRecyclingOrder WHERE patientId = :resource

-- unprotect --
-- A patient that is listed is not protected, and keeps its place.
INSERT INTO PatientRecyclingOrder (patientId)
SELECT :resource WHERE NOT EXISTS (SELECT 1 FROM PatientRecyclingOrder o WHERE o.patientId = :resource)
