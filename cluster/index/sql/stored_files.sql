-- count --
-- Locks: none. Reads all of AttachedFiles.
SELECT count(*) FROM AttachedFiles

-- between --
-- What rows say of the files whose UUIDs begin in a range; `upper` NULL for no end.
-- Locks: none. Reads all of AttachedFiles: uuid has no index in Orthanc's schema.
SELECT a.uuid, a.compressedSize, coalesce(a.compressedHash, '')
  FROM AttachedFiles a
 WHERE a.uuid COLLATE "C" >= %(lower)s
   AND (%(upper)s::text IS NULL OR a.uuid COLLATE "C" < %(upper)s::text)

-- named --
-- The rows that name these files, with their resources.
-- Locks: none. Reads all of AttachedFiles.
SELECT a.uuid, r.resourceType, r.publicId, a.fileType, a.compressedSize, coalesce(a.compressedHash, ''), a.id
  FROM AttachedFiles a JOIN Resources r ON r.internalId = a.id
 WHERE a.uuid = ANY (%(uuids)s::text[])

-- going --
-- Those that lost their row and whose files are about to be removed.
-- Locks: none.
SELECT d.uuid FROM cluster.removed_attachments d
 WHERE d.uuid = ANY (%(uuids)s::text[]) AND NOT d.never_had_row AND d.file_gone_at IS NULL

-- still_named --
-- Locks: the row FOR UPDATE.
SELECT a.fileType FROM AttachedFiles a
 WHERE a.id = %(resource)s AND a.fileType = %(type)s AND a.uuid = %(uuid)s FOR UPDATE

-- wrong_child_counts --
-- Parents behind `after` whose count is neither right nor on the list of those to be counted again, and the last parent
-- looked at; one statement, hence one snapshot.
-- Locks: none.
WITH page AS (
    SELECT r.internalId, r.resourceType, r.publicId, r.childCount
      FROM Resources r
     WHERE r.internalId > %(after)s
     ORDER BY r.internalId
     LIMIT %(limit)s
)
SELECT p.internalId, p.resourceType, p.publicId, p.childCount, c.number,
       c.number IS DISTINCT FROM p.childCount AND p.childCount IS NOT NULL AND p.resourceType < 3
       AND NOT EXISTS (SELECT FROM InvalidChildCounts i WHERE i.id = p.internalId)
  FROM (SELECT * FROM page UNION ALL SELECT max(internalId), 3, '', 0 FROM page) AS p
 CROSS JOIN LATERAL (SELECT count(*) AS number FROM Resources s
                      WHERE s.parentId = p.internalId AND p.resourceType < 3) AS c
 WHERE p.publicId = '' OR p.resourceType < 3

-- count_again --
-- Locks: the resource, FOR KEY SHARE.
INSERT INTO InvalidChildCounts (id) SELECT r.internalId FROM Resources r WHERE r.internalId = ANY (%(ids)s::bigint[])
