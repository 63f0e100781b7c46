-- list_metadata --
-- All metadata of a resource, by type; one row with a NULL type if it has none, no row if there is no such resource.
-- Locks: none that a writer would notice.
SELECT m.type, m.value
  FROM Resources r LEFT JOIN Metadata m ON m.id = r.internalId
 WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s
 ORDER BY m.type

-- read_metadata --
-- One metadata of a resource; NULL as the type if it has none, no row if there is no such resource.
-- Locks: none that a writer would notice.
SELECT m.type, m.value, coalesce(m.revision, 0)
  FROM Resources r LEFT JOIN Metadata m ON m.id = r.internalId AND m.type = %(type)s
 WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s

-- lock_metadata --
-- Locks: the row FOR UPDATE.
SELECT m.value, coalesce(m.revision, 0) FROM Metadata m WHERE m.id = %(resource)s AND m.type = %(type)s FOR UPDATE

-- insert_metadata --
-- No row if another session wrote it first.
-- Locks: waits for such a session.
INSERT INTO Metadata (id, type, value, revision) VALUES (%(resource)s, %(type)s, %(value)s, 0)
ON CONFLICT (id, type) DO NOTHING
RETURNING revision

-- update_metadata --
-- Locks: the row, which is ours already.
UPDATE Metadata SET value = %(value)s, revision = %(revision)s WHERE id = %(resource)s AND type = %(type)s

-- delete_metadata --
-- Locks: the row, which is ours already.
DELETE FROM Metadata WHERE id = %(resource)s AND type = %(type)s
