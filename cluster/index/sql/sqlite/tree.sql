-- ancestor --
WITH RECURSIVE way (id, parent, level, public_id) AS (
    SELECT r.internalId, r.parentId, r.resourceType, r.publicId
      FROM Resources r WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
     UNION ALL
    SELECT p.internalId, p.parentId, p.resourceType, p.publicId
      FROM way JOIN Resources p ON p.internalId = way.parent
)
SELECT w.public_id FROM way w WHERE w.level = :wanted + 1

-- statistics --
WITH RECURSIVE below (id, level) AS (
    SELECT r.internalId, r.resourceType
      FROM Resources r WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
     UNION ALL
    SELECT c.internalId, c.resourceType FROM below b JOIN Resources c ON c.parentId = b.id
)
SELECT coalesce(sum(a.compressedSize), 0), coalesce(sum(a.uncompressedSize), 0),
       coalesce(sum(CASE a.fileType WHEN 1 THEN a.compressedSize END), 0),
       coalesce(sum(CASE a.fileType WHEN 1 THEN a.uncompressedSize END), 0),
       count(DISTINCT CASE b.level WHEN 2 THEN b.id END), count(DISTINCT CASE b.level WHEN 3 THEN b.id END),
       count(DISTINCT CASE b.level WHEN 4 THEN b.id END)
  FROM below b LEFT JOIN AttachedFiles a ON a.id = b.id
 GROUP BY NULL

-- files --
WITH RECURSIVE below (id, level, public_id) AS (
    SELECT r.internalId, r.resourceType, r.publicId
      FROM Resources r WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
     UNION ALL
    SELECT c.internalId, c.resourceType, c.publicId FROM below b JOIN Resources c ON c.parentId = b.id
)
SELECT b.public_id, a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedMD5, '')
  FROM below b JOIN AttachedFiles a ON a.id = b.id AND a.fileType = 1
 WHERE b.level = 4 AND b.public_id > :after
 ORDER BY b.public_id
 LIMIT :limit
