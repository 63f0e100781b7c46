-- list_public_ids --
-- Ids of one level in ascending order, from behind `after` on.
-- Locks: none that a writer would notice.
SELECT publicId
  FROM Resources
 WHERE resourceType = %(level)s AND publicId > %(after)s
 ORDER BY publicId
 LIMIT %(limit)s OFFSET %(offset)s

-- expand_resources --
-- What the REST API shows of resources of one level; unknown ids give no row. Types of metadata: 1 IndexInSeries,
-- 4 ExpectedNumberOfInstances, 5 ModifiedFrom, 6 AnonymizedFrom, 7 LastUpdate, 18 IsProtected; `all_metadata` and
-- `attachments` say whether more is wanted.
--
-- Unstable is what cluster.log_stable_resources has noted and not yet logged as stable, and what got an instance that it has
-- still to read (`fresh`): usually those of the last second, and never more than it reads at a time.
-- Locks: none that a writer would notice.
WITH fresh_series AS MATERIALIZED (
    -- One look for each change, which are few: as a join it would be planned as if they were many.
    SELECT DISTINCT (SELECT i.parentId FROM Resources i WHERE i.internalId = c.internalId) AS id
      FROM Changes c
     WHERE %(level)s < 3 AND c.changeType = 2
       AND c.seq > (SELECT p.value::bigint FROM cluster.properties p WHERE p.name = 'stable_changes_read_upto')
       AND c.seq > (SELECT g.value - 10000 FROM GlobalIntegers g WHERE g.key = 6)
), fresh_studies AS MATERIALIZED (
    SELECT DISTINCT (SELECT s.parentId FROM Resources s WHERE s.internalId = f.id) AS id FROM fresh_series f
), fresh AS (
    SELECT f.id AS resource FROM fresh_series f
     UNION ALL SELECT f.id FROM fresh_studies f
     UNION ALL SELECT (SELECT s.parentId FROM Resources s WHERE s.internalId = f.id) FROM fresh_studies f
)
SELECT r.publicId,
       parent.publicId,
       (SELECT json_agg(json_build_array(t.tagGroup, t.tagElement, t.value))
          FROM MainDicomTags t WHERE t.id = r.internalId),
       (SELECT json_object_agg(m.type, m.value)
          FROM Metadata m WHERE m.id = r.internalId AND (%(all_metadata)s OR m.type IN (1, 4, 5, 6, 7, 18))),
       ARRAY(SELECT l.label FROM Labels l WHERE l.id = r.internalId),
       ARRAY(SELECT c.publicId FROM Resources c WHERE c.parentId = r.internalId ORDER BY c.publicId),
       ARRAY(SELECT m.value
               FROM Resources c JOIN Metadata m ON m.id = c.internalId AND m.type = 1
              WHERE c.parentId = r.internalId AND r.resourceType = 2),
       NOT EXISTS (SELECT FROM cluster.unstable_resources u WHERE u.resource = r.internalId)
           AND r.internalId NOT IN (SELECT f.resource FROM fresh f WHERE f.resource IS NOT NULL),
       a.uuid, a.uncompressedSize,
       CASE WHEN %(attachments)s THEN
           (SELECT json_agg(json_build_array(f.fileType, f.uuid, f.compressedSize, f.uncompressedSize,
                                             f.compressedHash, f.uncompressedHash) ORDER BY f.fileType)
              FROM AttachedFiles f WHERE f.id = r.internalId) END
  FROM Resources r
  LEFT JOIN Resources parent ON parent.internalId = r.parentId
  LEFT JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1 AND r.resourceType = 3
 WHERE r.resourceType = %(level)s AND r.publicId = ANY (%(public_ids)s)
 ORDER BY r.publicId
