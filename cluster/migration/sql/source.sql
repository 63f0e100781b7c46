-- For SQLite. `k0`, `k1`, `k2` are the key of the last row that was read; columns are those of the target's table.

-- resources --
SELECT r.resourceType - 1, r.internalId, r.publicId, r.parentId,
       (SELECT count(*) FROM Resources c WHERE c.parentId = r.internalId)
  FROM Resources r
 WHERE (r.resourceType, r.internalId) > (:k0 + 1, :k1)
 ORDER BY r.resourceType, r.internalId LIMIT :limit

-- maindicomtags --
SELECT id, tagGroup, tagElement, value FROM MainDicomTags
 WHERE (id, tagGroup, tagElement) > (:k0, :k1, :k2) ORDER BY id, tagGroup, tagElement LIMIT :limit

-- dicomidentifiers --
SELECT id, tagGroup, tagElement, value FROM DicomIdentifiers
 WHERE (id, tagGroup, tagElement) > (:k0, :k1, :k2) ORDER BY id, tagGroup, tagElement LIMIT :limit

-- metadata --
SELECT id, type, value, revision FROM Metadata
 WHERE (id, type) > (:k0, :k1) AND type NOT IN (18, 19) ORDER BY id, type LIMIT :limit

-- recycling --
-- IsProtected (18) or the place in the recycling order (19) of each patient, which are metadata in PostgreSQL.
SELECT r.internalId, CASE WHEN o.seq IS NULL THEN 18 ELSE 19 END, coalesce(CAST(o.seq AS TEXT), 'true'), 0
  FROM Resources r LEFT JOIN PatientRecyclingOrder o ON o.patientId = r.internalId
 WHERE r.resourceType = 1 AND r.internalId > :k0
 ORDER BY r.internalId LIMIT :limit

-- attachedfiles --
SELECT id, fileType, uuid, compressedSize, uncompressedSize, compressionType, uncompressedMD5, compressedMD5, revision,
       customData
  FROM AttachedFiles
 WHERE (id, fileType) > (:k0, :k1) ORDER BY id, fileType LIMIT :limit

-- labels --
SELECT id, label FROM Labels WHERE (id, label) > (:k0, :k1) ORDER BY id, label LIMIT :limit

-- changes --
SELECT seq, changeType, internalId, resourceType - 1, date FROM Changes WHERE seq > :k0 ORDER BY seq LIMIT :limit

-- exportedresources --
SELECT seq, resourceType - 1, publicId, remoteModality, patientId, studyInstanceUid, seriesInstanceUid,
       sopInstanceUid, date
  FROM ExportedResources WHERE seq > :k0 ORDER BY seq LIMIT :limit

-- keyvaluestores --
SELECT storeId, key, value FROM KeyValueStores WHERE (storeId, key) > (:k0, :k1) ORDER BY storeId, key LIMIT :limit

-- queues --
SELECT id, queueId, value, reservedUntil FROM Queues WHERE id > :k0 ORDER BY id LIMIT :limit

-- globalproperties --
-- Not those that describe the schema.
SELECT property, value FROM GlobalProperties
 WHERE property > :k0 AND property NOT IN (1, 4, 6, 7, 10, 11, 12, 13, 14) ORDER BY property LIMIT :limit

-- sequences --
-- The last number of each sequence, whether its row is still there or not; in all, what the index was when it was read.
SELECT name, seq FROM sqlite_sequence ORDER BY name

-- removed --
-- Files whose row is gone and that are still to be removed.
SELECT uuid FROM cluster_removed_attachments WHERE file_gone_at IS NULL
