-- ancestor --
-- The resource of a level above another, or itself; of none if the other is not there.
-- Locks: none that a writer would notice.
WITH RECURSIVE way (id, parent, level, public_id) AS (
    SELECT r.internalId, r.parentId, r.resourceType, r.publicId
      FROM Resources r WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s
     UNION ALL
    SELECT p.internalId, p.parentId, p.resourceType, p.publicId
      FROM way JOIN Resources p ON p.internalId = way.parent
)
SELECT w.public_id FROM way w WHERE w.level = %(wanted)s

-- statistics --
-- Of a resource and everything below it: sizes of all attachments and of DICOM files (1) alone, and how many resources
-- there are by level. No row if there is no such resource.
-- Locks: none that a writer would notice.
WITH RECURSIVE below (id, level) AS (
    SELECT r.internalId, r.resourceType
      FROM Resources r WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s
     UNION ALL
    SELECT c.internalId, c.resourceType FROM below b JOIN Resources c ON c.parentId = b.id
)
SELECT coalesce(sum(a.compressedSize), 0)::bigint, coalesce(sum(a.uncompressedSize), 0)::bigint,
       coalesce(sum(a.compressedSize) FILTER (WHERE a.fileType = 1), 0)::bigint,
       coalesce(sum(a.uncompressedSize) FILTER (WHERE a.fileType = 1), 0)::bigint,
       count(DISTINCT b.id) FILTER (WHERE b.level = 1), count(DISTINCT b.id) FILTER (WHERE b.level = 2),
       count(DISTINCT b.id) FILTER (WHERE b.level = 3)
  FROM below b LEFT JOIN AttachedFiles a ON a.id = b.id
HAVING count(*) > 0

-- files --
-- DICOM files of the instances of a resource (or of itself) behind `after`, by public id.
-- Locks: none that a writer would notice.
WITH RECURSIVE below (id, level, public_id) AS (
    SELECT r.internalId, r.resourceType, r.publicId
      FROM Resources r WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s
     UNION ALL
    SELECT c.internalId, c.resourceType, c.publicId FROM below b JOIN Resources c ON c.parentId = b.id
)
SELECT b.public_id, a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedHash, '')
  FROM below b JOIN AttachedFiles a ON a.id = b.id AND a.fileType = 1
 WHERE b.level = 3 AND b.public_id > %(after)s
 ORDER BY b.public_id
 LIMIT %(limit)s
