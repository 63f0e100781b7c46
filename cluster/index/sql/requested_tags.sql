-- requested_tags --
-- What the index knows of tags that are not shown by default. Of each resource: the resources above it and, where
-- `descend` says so, one on each level below it (the first by public id), whose tags stand for all. `computed` are
-- pieces of the list of columns. Metadata: 15 is the signature of the main tags, 16 their sequences.
-- Locks: none that a writer would notice.
WITH way AS (
    SELECT w.internalId AS asked, w.publicId, w.resourceType,
           CASE WHEN w.resourceType = 0 THEN w.internalId WHEN w.resourceType = 1 THEN u1.internalId
                WHEN w.resourceType = 2 THEN u2.internalId ELSE u3.internalId END AS patient,
           CASE WHEN w.resourceType = 1 THEN w.internalId WHEN w.resourceType = 2 THEN u1.internalId
                WHEN w.resourceType = 3 THEN u2.internalId END AS study_above,
           CASE WHEN w.resourceType = 2 THEN w.internalId WHEN w.resourceType = 3 THEN u1.internalId END AS series_above,
           CASE WHEN w.resourceType = 3 THEN w.internalId END AS instance_itself
      FROM Resources w
      LEFT JOIN Resources u1 ON u1.internalId = w.parentId
      LEFT JOIN Resources u2 ON u2.internalId = u1.parentId
      LEFT JOIN Resources u3 ON u3.internalId = u2.parentId
     WHERE w.resourceType = {level} AND w.publicId = ANY ({public_ids}::text[])
), one AS (
    SELECT way.publicId, way.patient,
           coalesce(way.study_above, st.internalId) AS study,
           coalesce(way.series_above, se.internalId) AS series,
           coalesce(way.instance_itself, i.internalId) AS instance,
           way.study_above, way.series_above
      FROM way
      LEFT JOIN LATERAL (SELECT c.internalId FROM Resources c
                          WHERE {descend} AND way.resourceType < 1 AND c.parentId = way.patient
                          ORDER BY c.publicId LIMIT 1) AS st ON true
      LEFT JOIN LATERAL (SELECT c.internalId FROM Resources c
                          WHERE {descend} AND way.resourceType < 2 AND c.parentId = coalesce(way.study_above, st.internalId)
                          ORDER BY c.publicId LIMIT 1) AS se ON true
      LEFT JOIN LATERAL (SELECT c.internalId FROM Resources c
                          WHERE {descend} AND way.resourceType < 3
                            AND c.parentId = coalesce(way.series_above, se.internalId)
                          ORDER BY c.publicId LIMIT 1) AS i ON true
)
SELECT one.publicId,
       (SELECT json_agg(json_build_array(r.resourceType, t.tagGroup, t.tagElement, t.value))
          FROM Resources r
          JOIN MainDicomTags t ON t.id = r.internalId
          JOIN unnest({groups}::integer[], {elements}::integer[]) AS a (tag_group, tag_element)
            ON a.tag_group = t.tagGroup AND a.tag_element = t.tagElement
         WHERE r.internalId IN (one.patient, one.study, one.series, one.instance)),
       (SELECT json_agg(json_build_array(r.resourceType, m.type, m.value))
          FROM Resources r JOIN Metadata m ON m.id = r.internalId AND m.type IN (15, 16)
         WHERE r.internalId IN (one.patient, one.study, one.series, one.instance)),
       (SELECT json_build_array(a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize,
                                coalesce(a.uncompressedHash, ''))
          FROM AttachedFiles a WHERE a.id = one.instance AND a.fileType = 1)
       {computed}
  FROM one

-- INSTANCE_AVAILABILITY --
-- Piece: what is in the index is on line.
, 'ONLINE'

-- MODALITIES_IN_STUDY --
-- Piece: different Modality (0008,0060) of the series.
, (SELECT string_agg(DISTINCT t.value, '\' ORDER BY t.value)
     FROM Resources s JOIN MainDicomTags t ON t.id = s.internalId AND t.tagGroup = 8 AND t.tagElement = 96
    WHERE s.parentId = one.study_above AND t.value <> '')

-- SOP_CLASSES_IN_STUDY --
-- Piece: different SopClassUid (metadata 10) of the instances.
, (SELECT string_agg(DISTINCT m.value, '\' ORDER BY m.value)
     FROM Resources s JOIN Resources i ON i.parentId = s.internalId
                      JOIN Metadata m ON m.id = i.internalId AND m.type = 10
    WHERE s.parentId = one.study_above AND m.value <> '')

-- NUMBER_OF_PATIENT_RELATED_STUDIES --
-- Piece: counted, as childCount may lag behind.
, (SELECT count(*) FROM Resources c WHERE c.parentId = one.patient)::text

-- NUMBER_OF_PATIENT_RELATED_SERIES --
-- Piece.
, (SELECT count(*) FROM Resources c JOIN Resources d ON d.parentId = c.internalId
    WHERE c.parentId = one.patient)::text

-- NUMBER_OF_PATIENT_RELATED_INSTANCES --
-- Piece.
, (SELECT count(*) FROM Resources c JOIN Resources d ON d.parentId = c.internalId
                                    JOIN Resources e ON e.parentId = d.internalId
    WHERE c.parentId = one.patient)::text

-- NUMBER_OF_STUDY_RELATED_SERIES --
-- Piece.
, (SELECT count(*) FROM Resources c WHERE c.parentId = one.study_above)::text

-- NUMBER_OF_STUDY_RELATED_INSTANCES --
-- Piece.
, (SELECT count(*) FROM Resources c JOIN Resources d ON d.parentId = c.internalId
    WHERE c.parentId = one.study_above)::text

-- NUMBER_OF_SERIES_RELATED_INSTANCES --
-- Piece.
, (SELECT count(*) FROM Resources c WHERE c.parentId = one.series_above)::text
