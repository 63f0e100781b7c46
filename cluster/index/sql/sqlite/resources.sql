-- list_public_ids --
-- The plus keeps SQLite from an index of four values.
SELECT publicId
  FROM Resources
 WHERE +resourceType = :level + 1 AND publicId > :after
 ORDER BY publicId
 LIMIT :limit OFFSET :offset

-- expand_resources --
-- Metadata 18 (IsProtected) is not stored here: who is not in the recycling order is protected.
WITH fresh AS MATERIALIZED (
    SELECT a.internalId AS resource
      FROM Changes c
      JOIN Resources i ON i.internalId = c.internalId
      JOIN Resources se ON se.internalId = i.parentId
      JOIN Resources st ON st.internalId = se.parentId
      JOIN Resources a ON a.internalId IN (se.internalId, st.internalId, st.parentId)
     WHERE :level < 3 AND c.changeType = 2
       AND c.seq > (SELECT CAST(p.value AS INTEGER) FROM cluster_properties p WHERE p.name = 'stable_changes_read_upto')
       AND c.seq > (SELECT s.seq - 10000 FROM sqlite_sequence s WHERE s.name = 'Changes')
)
SELECT r.publicId,
       parent.publicId,
       (SELECT json_group_array(json_array(t.tagGroup, t.tagElement, t.value))
          FROM MainDicomTags t WHERE t.id = r.internalId) AS "tags [json]",
       (SELECT json_group_object(m.type, m.value)
          FROM (SELECT type, value FROM Metadata
                 WHERE id = r.internalId AND (:all_metadata OR type IN (1, 4, 5, 6, 7)) AND type <> 18
                 UNION ALL
                SELECT 18, 'true'
                 WHERE r.resourceType = 1
                   AND NOT EXISTS (SELECT 1 FROM PatientRecyclingOrder o WHERE o.patientId = r.internalId)) AS m)
           AS "metadata [json]",
       (SELECT json_group_array(l.label) FROM Labels l WHERE l.id = r.internalId) AS "labels [json]",
       (SELECT json_group_array(c.publicId)
          FROM (SELECT publicId FROM Resources WHERE parentId = r.internalId ORDER BY publicId) AS c)
           AS "children [json]",
       (SELECT json_group_array(m.value)
          FROM Resources c JOIN Metadata m ON m.id = c.internalId AND m.type = 1
         WHERE c.parentId = r.internalId AND r.resourceType = 3) AS "indices [json]",
       (NOT EXISTS (SELECT 1 FROM cluster_unstable_resources u WHERE u.resource = r.internalId)
           AND r.internalId NOT IN (SELECT f.resource FROM fresh f)) AS "is_stable [bool]",
       a.uuid, a.uncompressedSize,
       CASE WHEN :attachments THEN
           (SELECT json_group_array(json_array(f.fileType, f.uuid, f.compressedSize, f.uncompressedSize,
                                               f.compressedMD5, f.uncompressedMD5))
              FROM (SELECT * FROM AttachedFiles WHERE id = r.internalId ORDER BY fileType) AS f) END
           AS "attachments [json]"
  FROM Resources r
  LEFT JOIN Resources parent ON parent.internalId = r.parentId
  LEFT JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1 AND r.resourceType = 4
 WHERE +r.resourceType = :level + 1 AND r.publicId IN (SELECT value FROM json_each(:public_ids))
 ORDER BY r.publicId
