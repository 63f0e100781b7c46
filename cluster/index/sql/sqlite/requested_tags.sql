-- requested_tags --
WITH way AS (
    SELECT w.internalId AS asked, w.publicId, w.resourceType,
           CASE w.resourceType WHEN 1 THEN w.internalId WHEN 2 THEN u1.internalId
                               WHEN 3 THEN u2.internalId ELSE u3.internalId END AS patient,
           CASE w.resourceType WHEN 2 THEN w.internalId WHEN 3 THEN u1.internalId
                               WHEN 4 THEN u2.internalId END AS study_above,
           CASE w.resourceType WHEN 3 THEN w.internalId WHEN 4 THEN u1.internalId END AS series_above,
           CASE w.resourceType WHEN 4 THEN w.internalId END AS instance_itself
      FROM Resources w
      LEFT JOIN Resources u1 ON u1.internalId = w.parentId
      LEFT JOIN Resources u2 ON u2.internalId = u1.parentId
      LEFT JOIN Resources u3 ON u3.internalId = u2.parentId
     WHERE +w.resourceType = {level} + 1 AND w.publicId IN (SELECT value FROM json_each({public_ids}))
), with_study AS (
    SELECT way.*, coalesce(way.study_above,
                           (SELECT c.internalId FROM Resources c
                             WHERE {descend} AND way.resourceType < 2 AND c.parentId = way.patient
                             ORDER BY c.publicId LIMIT 1)) AS study
      FROM way
), with_series AS (
    SELECT w.*, coalesce(w.series_above,
                         (SELECT c.internalId FROM Resources c
                           WHERE {descend} AND w.resourceType < 3 AND c.parentId = w.study
                           ORDER BY c.publicId LIMIT 1)) AS series
      FROM with_study w
), one AS (
    SELECT w.*, coalesce(w.instance_itself,
                         (SELECT c.internalId FROM Resources c
                           WHERE {descend} AND w.resourceType < 4 AND c.parentId = w.series
                           ORDER BY c.publicId LIMIT 1)) AS instance
      FROM with_series w
)
SELECT one.publicId,
       (SELECT json_group_array(json_array(r.resourceType - 1, t.tagGroup, t.tagElement, t.value))
          FROM json_each({groups}) AS g
          JOIN json_each({elements}) AS e ON e.key = g.key
          JOIN Resources r ON r.internalId IN (one.patient, one.study, one.series, one.instance)
          JOIN MainDicomTags t ON t.id = r.internalId AND t.tagGroup = g.value AND t.tagElement = e.value)
           AS "tags [json]",
       (SELECT json_group_array(json_array(r.resourceType - 1, m.type, m.value))
          FROM Resources r JOIN Metadata m ON m.id = r.internalId AND m.type IN (15, 16)
         WHERE r.internalId IN (one.patient, one.study, one.series, one.instance)) AS "metadata [json]",
       (SELECT json_array(a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize,
                          coalesce(a.uncompressedMD5, ''))
          FROM AttachedFiles a WHERE a.id = one.instance AND a.fileType = 1) AS "attachment [json]"
       {computed}
  FROM one

-- INSTANCE_AVAILABILITY --
, 'ONLINE'

-- MODALITIES_IN_STUDY --
, (SELECT group_concat(v.value, '\')
     FROM (SELECT DISTINCT t.value AS value
             FROM Resources s JOIN MainDicomTags t ON t.id = s.internalId AND t.tagGroup = 8 AND t.tagElement = 96
            WHERE s.parentId = one.study_above AND t.value <> '' ORDER BY t.value) AS v)

-- SOP_CLASSES_IN_STUDY --
, (SELECT group_concat(v.value, '\')
     FROM (SELECT DISTINCT m.value AS value
             FROM Resources s JOIN Resources i ON i.parentId = s.internalId
                              JOIN Metadata m ON m.id = i.internalId AND m.type = 10
            WHERE s.parentId = one.study_above AND m.value <> '' ORDER BY m.value) AS v)

-- NUMBER_OF_PATIENT_RELATED_STUDIES --
, CAST((SELECT count(*) FROM Resources c WHERE c.parentId = one.patient) AS TEXT)

-- NUMBER_OF_PATIENT_RELATED_SERIES --
, CAST((SELECT count(*) FROM Resources c JOIN Resources d ON d.parentId = c.internalId
         WHERE c.parentId = one.patient) AS TEXT)

-- NUMBER_OF_PATIENT_RELATED_INSTANCES --
, CAST((SELECT count(*) FROM Resources c JOIN Resources d ON d.parentId = c.internalId
                                         JOIN Resources e ON e.parentId = d.internalId
         WHERE c.parentId = one.patient) AS TEXT)

-- NUMBER_OF_STUDY_RELATED_SERIES --
, CAST((SELECT count(*) FROM Resources c WHERE c.parentId = one.study_above) AS TEXT)

-- NUMBER_OF_STUDY_RELATED_INSTANCES --
, CAST((SELECT count(*) FROM Resources c JOIN Resources d ON d.parentId = c.internalId
         WHERE c.parentId = one.study_above) AS TEXT)

-- NUMBER_OF_SERIES_RELATED_INSTANCES --
, CAST((SELECT count(*) FROM Resources c WHERE c.parentId = one.series_above) AS TEXT)
