-- list_attachments --
-- Types of a resource's attachments; one row with NULL if it has none, no row if there is no such resource.
-- Locks: none that a writer would notice.
SELECT a.fileType
  FROM Resources r LEFT JOIN AttachedFiles a ON a.id = r.internalId
 WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s
 ORDER BY a.fileType

-- read_attachment --
-- One attachment; NULL as the uuid if the resource has none of that type, no row if there is no such resource.
-- Locks: none that a writer would notice.
SELECT a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedHash, ''),
       coalesce(a.compressedHash, ''), coalesce(a.revision, 0)
  FROM Resources r LEFT JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = %(type)s
 WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s

-- lock_attachment --
-- Locks: the row FOR UPDATE.
SELECT a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedHash, ''),
       coalesce(a.compressedHash, ''), coalesce(a.revision, 0)
  FROM AttachedFiles a WHERE a.id = %(resource)s AND a.fileType = %(type)s FOR UPDATE

-- was_removed --
-- Whether an attachment had a row and lost it again.
-- Locks: none.
SELECT EXISTS (SELECT 1 FROM cluster.removed_attachments d WHERE d.uuid = %(uuid)s)

-- delete_attachment --
-- Locks: the row, which is ours already.
SELECT DeleteAttachment(%(resource)s, %(type)s)

-- remember_removed --
-- Leaves the files of what was deleted to whoever finds the time.
-- Locks: none that another session would want.
INSERT INTO cluster.removed_attachments (uuid) SELECT d.uuid FROM DeletedFiles d ON CONFLICT (uuid) DO NOTHING

-- insert_attachment --
-- No row if another session attached something first. Sizes are counted by triggers at INSERT and DELETE only, hence no
-- update in place.
-- Locks: waits for such a session.
INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType,
                           uncompressedHash, compressedHash, revision)
VALUES (%(resource)s, %(type)s, %(uuid)s, %(compressed_size)s, %(size)s, %(compression)s,
        %(md5)s, %(compressed_md5)s, %(revision)s)
ON CONFLICT (id, fileType) DO NOTHING
RETURNING revision

-- patient_of --
-- Public id of the patient above a resource, or of itself.
-- Locks: none that a writer would notice.
WITH RECURSIVE way (parent, public_id) AS (
    SELECT r.parentId, r.publicId FROM Resources r WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s
     UNION ALL
    SELECT p.parentId, p.publicId FROM way w JOIN Resources p ON p.internalId = w.parent
)
SELECT w.public_id FROM way w WHERE w.parent IS NULL

-- make_room --
-- Recycles patients until so many bytes may be added; see schema/sql/cluster_recycling.sql.
-- Locks: an advisory lock and the patients that go, until commit. Call first.
SELECT cluster.make_room(%(maximum_size)s::bigint, %(maximum_patients)s::bigint, %(recycles)s::boolean,
                         %(added_size)s::bigint, 0, %(kept)s::text[])
