-- is_protected --
SELECT NOT EXISTS (SELECT 1 FROM PatientRecyclingOrder o WHERE o.patientId = r.internalId)
  FROM Resources r
 WHERE r.publicId = :public_id AND +r.resourceType = 1

-- protect --
DELETE FROM PatientRecyclingOrder WHERE patientId = :resource

-- join_queue --
INSERT INTO PatientRecyclingOrder (patientId) VALUES (:resource)
