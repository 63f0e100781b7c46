-- is_protected --
-- Whether a patient has metadata 18 (IsProtected); no row if there is no such patient.
-- Locks: none that a writer would notice.
SELECT EXISTS (SELECT 1 FROM Metadata m WHERE m.id = r.internalId AND m.type = 18 AND m.value = 'true')
  FROM Resources r
 WHERE r.publicId = %(public_id)s AND r.resourceType = 0

-- protect --
-- Locks: the row of metadata 18 until commit.
SELECT ProtectPatient(%(resource)s)

-- unprotect --
-- Also puts the patient at the end of the recycling queue.
-- Locks: the rows of metadata 18 and 19 until commit.
SELECT UnprotectPatient(%(resource)s)
