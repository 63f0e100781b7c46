-- exports_since --
-- The first exports behind `since`.
-- Locks: none that a writer would notice.
SELECT seq, resourceType, publicId, remoteModality, patientId, studyInstanceUid, seriesInstanceUid, sopInstanceUid, date
  FROM ExportedResources
 WHERE seq > %(since)s
 ORDER BY seq
 LIMIT %(limit)s

-- last_export --
-- The last one.
-- Locks: none that a writer would notice.
SELECT seq, resourceType, publicId, remoteModality, patientId, studyInstanceUid, seriesInstanceUid, sopInstanceUid, date
  FROM ExportedResources
 ORDER BY seq DESC
 LIMIT 1

-- delete_exports --
-- Deletes all; numbers go on where they were.
-- Locks: the rows that go, until commit.
DELETE FROM ExportedResources
