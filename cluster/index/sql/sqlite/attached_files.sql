-- list_attachments --
SELECT a.fileType
  FROM Resources r LEFT JOIN AttachedFiles a ON a.id = r.internalId
 WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
 ORDER BY a.fileType

-- read_attachment --
SELECT a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedMD5, ''),
       coalesce(a.compressedMD5, ''), coalesce(a.revision, 0)
  FROM Resources r LEFT JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = :type
 WHERE r.publicId = :public_id AND +r.resourceType = :level + 1

-- lock_attachment --
SELECT a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedMD5, ''),
       coalesce(a.compressedMD5, ''), coalesce(a.revision, 0)
  FROM AttachedFiles a WHERE a.id = :resource AND a.fileType = :type

-- was_removed --
SELECT EXISTS (SELECT 1 FROM cluster_removed_attachments d WHERE d.uuid = :uuid)

-- delete_attachment --
DELETE FROM AttachedFiles WHERE id = :resource AND fileType = :type

-- remember_removed --
-- Done already: by a trigger of the connection.
SELECT NULL

-- insert_attachment --
INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType,
                           uncompressedMD5, compressedMD5, revision)
VALUES (:resource, :type, :uuid, :compressed_size, :size, :compression, :md5, :compressed_md5, :revision)
ON CONFLICT (id, fileType) DO NOTHING
RETURNING revision

-- patient_of --
WITH RECURSIVE way (parent, public_id) AS (
    SELECT r.parentId, r.publicId FROM Resources r WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
     UNION ALL
    SELECT p.parentId, p.publicId FROM way w JOIN Resources p ON p.internalId = w.parent
)
SELECT w.public_id FROM way w WHERE w.parent IS NULL
