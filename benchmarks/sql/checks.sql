-- instances --
-- Acknowledged instances that are not there exactly once, with all that belongs to them.
SELECT w.public_id, r.number, r.files, r.tags, r.identifiers, r.metadata, r.changes
  FROM unnest(%(instances)s::text[]) AS w (public_id)
 CROSS JOIN LATERAL (
       SELECT count(*) AS number,
              sum((SELECT count(*) FROM AttachedFiles a WHERE a.id = i.internalId)) AS files,
              sum((SELECT count(*) FROM MainDicomTags t WHERE t.id = i.internalId)) AS tags,
              sum((SELECT count(*) FROM DicomIdentifiers d WHERE d.id = i.internalId)) AS identifiers,
              sum((SELECT count(*) FROM Metadata m WHERE m.id = i.internalId)) AS metadata,
              sum((SELECT count(*) FROM Changes c WHERE c.internalId = i.internalId)) AS changes
         FROM Resources i JOIN Resources p ON p.internalId = i.parentId AND p.resourceType = 2
        WHERE i.publicId = w.public_id AND i.resourceType = 3) AS r
 WHERE (r.number, r.files, r.tags, r.identifiers, r.metadata, r.changes)
       IS DISTINCT FROM (1, 1, %(tags)s, %(identifiers)s, %(metadata)s, 1)

-- doubles --
SELECT publicId FROM Resources GROUP BY publicId HAVING count(*) > 1

-- statistics --
-- Totals with what is pending that differ from the sums of the tables: key, total, sum.
WITH sums (key, value) AS (
    SELECT k.key, CASE k.key WHEN 0 THEN f.compressed ELSE f.uncompressed END
      FROM (SELECT coalesce(sum(compressedSize), 0)::bigint AS compressed,
                   coalesce(sum(uncompressedSize), 0)::bigint AS uncompressed FROM AttachedFiles) AS f
     CROSS JOIN (VALUES (0), (1)) AS k (key)
    UNION ALL
    SELECT resourceType + 2, count(*) FROM Resources GROUP BY resourceType
), totals AS (
    SELECT g.key, g.value + coalesce(sum(c.value), 0) AS value
      FROM GlobalIntegers g LEFT JOIN GlobalIntegersChanges c ON c.key = g.key
     WHERE g.key BETWEEN 0 AND 5 GROUP BY g.key, g.value
)
SELECT key, t.value, s.value FROM totals t FULL JOIN sums s USING (key) WHERE t.value IS DISTINCT FROM s.value

-- last_change --
-- The last change number, and what readers are told.
SELECT (SELECT max(seq) FROM Changes), (SELECT value FROM GlobalIntegers WHERE key = 6)

-- missing_child_counts --
SELECT ComputeMissingChildCount(10000)

-- invalid_child_counts --
SELECT UpdateInvalidChildCounts()

-- fold_statistics --
SELECT patients_cunt FROM UpdateStatistics()

-- pending --
-- What housekeeping has left: differences of statistics, invalid child counts.
SELECT (SELECT count(*) FROM GlobalIntegersChanges), (SELECT count(*) FROM InvalidChildCounts)

-- child_counts --
-- Resources that do not know how many children they have; an instance may say nothing.
SELECT r.publicId, r.childCount, coalesce(k.number, 0)
  FROM Resources r
  LEFT JOIN (SELECT parentId, count(*) AS number FROM Resources GROUP BY parentId) AS k ON k.parentId = r.internalId
 WHERE r.childCount IS DISTINCT FROM coalesce(k.number, 0) AND (r.resourceType < 3 OR r.childCount IS NOT NULL)
