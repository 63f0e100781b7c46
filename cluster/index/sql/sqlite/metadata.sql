-- same as PostgreSQL's: insert_metadata, update_metadata, delete_metadata

-- list_metadata --
SELECT m.type, m.value
  FROM Resources r LEFT JOIN Metadata m ON m.id = r.internalId
 WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
 ORDER BY m.type

-- read_metadata --
SELECT m.type, m.value, coalesce(m.revision, 0)
  FROM Resources r LEFT JOIN Metadata m ON m.id = r.internalId AND m.type = :type
 WHERE r.publicId = :public_id AND +r.resourceType = :level + 1

-- lock_metadata --
SELECT m.value, coalesce(m.revision, 0) FROM Metadata m WHERE m.id = :resource AND m.type = :type
