-- Pieces of cluster/index/sqlite/store.py and limits.py.

-- find_instance --
-- An instance that is stored already.
SELECT r.internalId, a.uuid, a.uncompressedMD5, (SELECT coalesce(sum(o.compressedSize), 0) FROM AttachedFiles o WHERE o.id = r.internalId)
  FROM Resources r LEFT JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1
 WHERE r.publicId = :public_id AND +r.resourceType = 4

-- find_resource --
SELECT r.internalId FROM Resources r WHERE r.publicId = :public_id AND +r.resourceType = :level + 1

-- was_removed --
SELECT d.never_had_row FROM cluster_removed_attachments d WHERE d.uuid = :uuid

-- collected --
-- Attachments that lost their row since this was emptied.
SELECT d.uuid FROM DeletedFiles d

-- empty_collected --
DELETE FROM DeletedFiles

-- create_resource --
-- Level 0 has no parent; a trigger puts a patient into the recycling order.
INSERT INTO Resources (resourceType, publicId, parentId) VALUES (:level + 1, :public_id, :parent) RETURNING internalId

-- attach --
INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType,
                           uncompressedMD5, compressedMD5, revision)
VALUES (:id, :type, :uuid, :stored_size, :size, :form, :md5, :stored_md5, 0)

-- add_identifier --
INSERT INTO DicomIdentifiers (id, tagGroup, tagElement, value) VALUES (:id, :group, :element, :value)

-- add_tag --
INSERT INTO MainDicomTags (id, tagGroup, tagElement, value) VALUES (:id, :group, :element, :value)

-- add_metadata --
INSERT INTO Metadata (id, type, value, revision) VALUES (:id, :type, :value, 0)

-- touch --
-- LastUpdate (7).
INSERT INTO Metadata (id, type, value, revision) VALUES (:id, 7, :stamp, 0)
ON CONFLICT (id, type) DO UPDATE SET value = excluded.value, revision = 0

-- leave_queue --
DELETE FROM PatientRecyclingOrder WHERE patientId = :id

-- join_queue --
INSERT INTO PatientRecyclingOrder (patientId) VALUES (:id)

-- indices --
-- IndexInSeries (1) of the instances of a series.
SELECT m.value FROM Resources r JOIN Metadata m ON m.id = r.internalId AND m.type = 1 WHERE r.parentId = :series

-- log --
INSERT INTO Changes (changeType, internalId, resourceType, date) VALUES (:change_type, :id, :level + 1, :stamp)

-- totals --
-- Compressed size of all attachments, and the number of patients.
SELECT (SELECT g.value FROM GlobalIntegers g WHERE g.key = 0), (SELECT count(*) FROM Resources r WHERE r.resourceType = 1)

-- oldest_patient --
-- The next one to be recycled, other than those that are to stay.
SELECT o.patientId
  FROM PatientRecyclingOrder o JOIN Resources r ON r.internalId = o.patientId
 WHERE r.publicId NOT IN (SELECT value FROM json_each(:kept))
 ORDER BY o.seq
 LIMIT 1

-- recycle --
DELETE FROM Resources WHERE internalId = :patient
