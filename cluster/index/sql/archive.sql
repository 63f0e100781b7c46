-- known --
-- Which of these ids are there.
-- Locks: none that a writer would notice.
SELECT publicId FROM Resources WHERE publicId = ANY (%(public_ids)s::text[])

-- series --
-- Series of which anything is at or below the resources that are wanted, with what their folders are called after.
-- Tags: PatientID, PatientName; AccessionNumber, StudyDescription; SeriesNumber, Modality, SeriesDescription.
-- `whole` says that all instances are wanted, `numbered` that IndexInSeries (metadata 1) tells all of them apart.
-- Locks: none that a writer would notice.
WITH RECURSIVE below (id, level, parent) AS (
    SELECT r.internalId, r.resourceType, r.parentId
      FROM Resources r WHERE r.publicId = ANY (%(public_ids)s::text[]) AND r.resourceType < 2
     UNION
    SELECT c.internalId, c.resourceType, c.parentId
      FROM below b JOIN Resources c ON c.parentId = b.id WHERE b.level < 2
), wanted (id, whole) AS (
    SELECT s.id, bool_or(s.whole)
      FROM (SELECT b.id, true FROM below b WHERE b.level = 2
             UNION ALL
            SELECT r.internalId, true
              FROM Resources r WHERE r.publicId = ANY (%(public_ids)s::text[]) AND r.resourceType = 2
             UNION ALL
            SELECT r.parentId, false
              FROM Resources r WHERE r.publicId = ANY (%(public_ids)s::text[]) AND r.resourceType = 3) AS s (id, whole)
     GROUP BY s.id
)
SELECT w.id, st.internalId, p.internalId, w.whole, i.number, i.numbered,
       ARRAY(SELECT t.value FROM unnest(ARRAY[16, 16], ARRAY[32, 16]) WITH ORDINALITY AS a (g, e, place)
               LEFT JOIN MainDicomTags t ON t.id = p.internalId AND t.tagGroup = a.g AND t.tagElement = a.e
              ORDER BY a.place),
       ARRAY(SELECT t.value FROM unnest(ARRAY[8, 8], ARRAY[80, 4144]) WITH ORDINALITY AS a (g, e, place)
               LEFT JOIN MainDicomTags t ON t.id = st.internalId AND t.tagGroup = a.g AND t.tagElement = a.e
              ORDER BY a.place),
       ARRAY(SELECT t.value FROM unnest(ARRAY[32, 8, 8], ARRAY[17, 96, 4158]) WITH ORDINALITY AS a (g, e, place)
               LEFT JOIN MainDicomTags t ON t.id = w.id AND t.tagGroup = a.g AND t.tagElement = a.e
              ORDER BY a.place)
  FROM wanted w
  JOIN Resources se ON se.internalId = w.id
  JOIN Resources st ON st.internalId = se.parentId
  JOIN Resources p ON p.internalId = st.parentId
 CROSS JOIN LATERAL (SELECT count(*) AS number,
                            count(*) = count(DISTINCT CASE WHEN m.value ~ '^[0-9]{1,9}$' THEN m.value::integer END)
                                AS numbered
                       FROM Resources r LEFT JOIN Metadata m ON m.id = r.internalId AND m.type = 1
                      WHERE r.parentId = w.id) AS i
 ORDER BY p.internalId, st.internalId, w.id

-- instances --
-- DICOM files of some series behind the last one, with IndexInSeries; `single_series` are those of which only the
-- instances in `public_ids` are wanted.
-- Locks: none that a writer would notice.
SELECT r.parentId, r.internalId, r.publicId, m.value,
       a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedHash, '')
  FROM Resources r
  JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1
  LEFT JOIN Metadata m ON m.id = r.internalId AND m.type = 1
 WHERE r.parentId = ANY (%(series)s::bigint[])
   AND (r.parentId, r.internalId) > (%(after_series)s, %(after_instance)s)
   AND (r.parentId <> ALL (%(single_series)s::bigint[]) OR r.publicId = ANY (%(public_ids)s::text[]))
 ORDER BY r.parentId, r.internalId
 LIMIT %(limit)s

-- size --
-- Instances at or below some resources, each once, and the bytes of their files.
-- Locks: none that a writer would notice.
WITH RECURSIVE below (id, level) AS (
    SELECT r.internalId, r.resourceType FROM Resources r WHERE r.publicId = ANY (%(public_ids)s::text[])
     UNION
    SELECT c.internalId, c.resourceType FROM below b JOIN Resources c ON c.parentId = b.id
)
SELECT count(*), coalesce(sum(a.uncompressedSize), 0)
  FROM below b JOIN AttachedFiles a ON a.id = b.id AND a.fileType = 1
 WHERE b.level = 3
