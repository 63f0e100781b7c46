-- list_labels --
-- Labels of a resource; one row with NULL if it has none, no row if there is no such resource.
-- Locks: none that a writer would notice.
SELECT l.label
  FROM Resources r LEFT JOIN Labels l ON l.id = r.internalId
 WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s

-- add_label --
-- Locks: the row, and waits for a session that adds or removes the same.
INSERT INTO Labels (id, label) VALUES (%(resource)s, %(label)s) ON CONFLICT (id, label) DO NOTHING

-- remove_label --
-- Locks: the row until commit.
DELETE FROM Labels WHERE id = %(resource)s AND label = %(label)s

-- all_labels --
-- Every label in use, from one to the next in the index instead of over all rows.
-- Locks: none that a writer would notice.
WITH RECURSIVE used (label) AS (
    SELECT min(l.label) FROM Labels l
     UNION ALL
    SELECT (SELECT min(l.label) FROM Labels l WHERE l.label > u.label) FROM used u WHERE u.label IS NOT NULL
)
SELECT u.label FROM used u WHERE u.label IS NOT NULL
