-- resources --
-- How often each expected resource is there: rows of its level below the right parent, rows that bear its identifier
-- (another public id would mean a second copy), and changes that announced it. Each has to be 1.
-- Locks: none.
SELECT w.level, w.public_id,
       (SELECT count(*)
          FROM Resources r LEFT JOIN Resources p ON p.internalId = r.parentId AND p.resourceType = r.resourceType - 1
         WHERE r.publicId = w.public_id AND r.resourceType = w.level
           AND p.publicId IS NOT DISTINCT FROM w.parent),
       (SELECT count(*)
          FROM DicomIdentifiers d JOIN Resources r ON r.internalId = d.id
         WHERE d.tagGroup = w.tag_group AND d.tagElement = w.tag_element AND d.value = w.identifier
           AND r.resourceType = w.level),
       (SELECT count(*)
          FROM Resources r JOIN Changes c ON c.internalId = r.internalId
         WHERE r.publicId = w.public_id AND r.resourceType = w.level
           AND c.changeType = w.change_type AND c.resourceType = w.level)
  FROM unnest(%(levels)s::integer[], %(public_ids)s::text[], %(parents)s::text[], %(tag_groups)s::integer[],
              %(tag_elements)s::integer[], %(identifiers)s::text[], %(change_types)s::integer[])
       AS w (level, public_id, parent, tag_group, tag_element, identifier, change_type)

-- attachments --
-- The DICOM files of instances, in no order.
-- Locks: none.
SELECT r.publicId, a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, a.compressedHash, a.uncompressedHash
  FROM unnest(%(instances)s::text[]) AS w (public_id)
  JOIN Resources r ON r.publicId = w.public_id AND r.resourceType = 3
  JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1

-- statistics --
-- What GlobalIntegers says together with what is not folded in yet, against the tables; one statement, so that
-- writers do not come in between.
-- Locks: none. Reads all of Resources and AttachedFiles.
WITH actual (key, value) AS (
    SELECT s.key, coalesce(sum(CASE s.key WHEN 0 THEN a.compressedSize ELSE a.uncompressedSize END), 0)
      FROM (VALUES (0), (1)) AS s (key) LEFT JOIN AttachedFiles a ON true
     GROUP BY s.key
    UNION ALL
    SELECT t.level + 2, count(r.internalId)
      FROM generate_series(0, 3) AS t (level) LEFT JOIN Resources r ON r.resourceType = t.level
     GROUP BY t.level
)
SELECT a.key, a.value::bigint,
       ((SELECT g.value FROM GlobalIntegers g WHERE g.key = a.key)
        + coalesce((SELECT sum(c.value) FROM GlobalIntegersChanges c WHERE c.key = a.key), 0))::bigint
  FROM actual a
 ORDER BY a.key

-- correct_statistics --
-- Appends what is missing, or too much, to the changes of the totals. Whoever writes in between changes tables and totals
-- by the same, so the difference stays what it is.
-- Locks: none that a writer would notice; call with the advisory lock, as two corrections would be one too many.
WITH actual (key, value) AS (
    SELECT s.key, coalesce(sum(CASE s.key WHEN 0 THEN a.compressedSize ELSE a.uncompressedSize END), 0)
      FROM (VALUES (0), (1)) AS s (key) LEFT JOIN AttachedFiles a ON true
     GROUP BY s.key
    UNION ALL
    SELECT t.level + 2, count(r.internalId)
      FROM generate_series(0, 3) AS t (level) LEFT JOIN Resources r ON r.resourceType = t.level
     GROUP BY t.level
)
INSERT INTO GlobalIntegersChanges (key, value)
SELECT d.key, d.difference
  FROM (SELECT a.key, a.value::bigint - ((SELECT g.value FROM GlobalIntegers g WHERE g.key = a.key)
               + coalesce((SELECT sum(c.value) FROM GlobalIntegersChanges c WHERE c.key = a.key), 0))::bigint
          FROM actual a) AS d (key, difference)
 WHERE d.difference <> 0

-- correct_alone --
-- Locks: the advisory lock 4413, until commit.
SELECT pg_advisory_xact_lock(4413)

-- last_change --
-- The newest change, the number that readers rely on, and the last number drawn.
-- Locks: none.
SELECT coalesce((SELECT max(seq) FROM Changes), 0),
       (SELECT g.value FROM GlobalIntegers g WHERE g.key = 6),
       coalesce(pg_sequence_last_value(pg_get_serial_sequence('Changes', 'seq')::regclass), 0)

-- tree --
-- Resources whose neighbours are not those that they must have.
-- Locks: none. Reads all of Resources.
SELECT 'resources have another childCount than children', count(*)
  FROM Resources r
 WHERE r.resourceType < 3
   AND r.childCount IS DISTINCT FROM (SELECT count(*) FROM Resources c WHERE c.parentId = r.internalId)
UNION ALL
SELECT 'patients, studies or series have no child', count(*)
  FROM Resources r
 WHERE r.resourceType < 3 AND NOT EXISTS (SELECT FROM Resources c WHERE c.parentId = r.internalId)
UNION ALL
SELECT 'studies, series or instances have no parent of the level above', count(*)
  FROM Resources r LEFT JOIN Resources p ON p.internalId = r.parentId AND p.resourceType = r.resourceType - 1
 WHERE r.resourceType > 0 AND p.internalId IS NULL
UNION ALL
SELECT 'public ids are there more than once', count(*)
  FROM (SELECT FROM Resources r GROUP BY r.publicId HAVING count(*) > 1) AS repeated
UNION ALL
SELECT 'instances have no DICOM file', count(*)
  FROM Resources r
 WHERE r.resourceType = 3 AND NOT EXISTS (SELECT FROM AttachedFiles a WHERE a.id = r.internalId AND a.fileType = 1)

-- unsettled --
-- What housekeeping has yet to do after a quiet moment.
-- Locks: none.
SELECT (SELECT count(*) FROM InvalidChildCounts)
     + (SELECT count(*) FROM cluster.removed_attachments r
         WHERE r.file_gone_at IS NULL AND (r.lease_until IS NULL OR r.lease_until < clock_timestamp()))

-- change_numbers --
-- The next changes after a number.
-- Locks: none.
SELECT c.seq FROM Changes c WHERE c.seq > %(since)s ORDER BY c.seq LIMIT %(batch)s

-- stored_files --
-- The next attachments in the order of the table's key.
-- Locks: none.
SELECT a.id, a.fileType, a.uuid, a.compressedSize
  FROM AttachedFiles a
 WHERE (a.id, a.fileType) > (%(id)s, %(type)s)
 ORDER BY a.id, a.fileType
 LIMIT %(batch)s
