-- same as PostgreSQL's: delete_exports

-- exports_since --
SELECT seq, resourceType - 1, publicId, remoteModality, patientId, studyInstanceUid, seriesInstanceUid, sopInstanceUid,
       date
  FROM ExportedResources
 WHERE seq > :since
 ORDER BY seq
 LIMIT :limit

-- last_export --
SELECT seq, resourceType - 1, publicId, remoteModality, patientId, studyInstanceUid, seriesInstanceUid, sopInstanceUid,
       date
  FROM ExportedResources
 ORDER BY seq DESC
 LIMIT 1
