-- known --
SELECT publicId FROM Resources WHERE publicId IN (SELECT value FROM json_each(:public_ids))

-- series --
WITH RECURSIVE asked (id, level, parent) AS (
    SELECT r.internalId, r.resourceType, r.parentId
      FROM Resources r WHERE r.publicId IN (SELECT value FROM json_each(:public_ids))
), below (id, level) AS (
    SELECT a.id, a.level FROM asked a WHERE a.level < 3
     UNION
    SELECT c.internalId, c.resourceType FROM below b JOIN Resources c ON c.parentId = b.id WHERE b.level < 3
), wanted (id, whole) AS (
    SELECT s.id, max(s.whole)
      FROM (SELECT b.id AS id, 1 AS whole FROM below b WHERE b.level = 3
             UNION ALL
            SELECT a.id, 1 FROM asked a WHERE a.level = 3
             UNION ALL
            SELECT a.parent, 0 FROM asked a WHERE a.level = 4) AS s
     GROUP BY s.id
)
SELECT w.id, st.internalId, p.internalId, w.whole AS "whole [bool]",
       (SELECT count(*) FROM Resources r WHERE r.parentId = w.id),
       (SELECT count(*) = count(DISTINCT CASE WHEN m.value <> '' AND length(m.value) < 10
                                               AND m.value NOT GLOB '*[^0-9]*' THEN CAST(m.value AS INTEGER) END)
          FROM Resources r LEFT JOIN Metadata m ON m.id = r.internalId AND m.type = 1
         WHERE r.parentId = w.id) AS "numbered [bool]",
       json_array((SELECT value FROM MainDicomTags WHERE id = p.internalId AND tagGroup = 16 AND tagElement = 32),
                  (SELECT value FROM MainDicomTags WHERE id = p.internalId AND tagGroup = 16 AND tagElement = 16))
           AS "patient [json]",
       json_array((SELECT value FROM MainDicomTags WHERE id = st.internalId AND tagGroup = 8 AND tagElement = 80),
                  (SELECT value FROM MainDicomTags WHERE id = st.internalId AND tagGroup = 8 AND tagElement = 4144))
           AS "study [json]",
       json_array((SELECT value FROM MainDicomTags WHERE id = w.id AND tagGroup = 32 AND tagElement = 17),
                  (SELECT value FROM MainDicomTags WHERE id = w.id AND tagGroup = 8 AND tagElement = 96),
                  (SELECT value FROM MainDicomTags WHERE id = w.id AND tagGroup = 8 AND tagElement = 4158))
           AS "series [json]"
  FROM wanted w
  JOIN Resources se ON se.internalId = w.id
  JOIN Resources st ON st.internalId = se.parentId
  JOIN Resources p ON p.internalId = st.parentId
 ORDER BY p.internalId, st.internalId, w.id

-- size --
WITH RECURSIVE below (id, level) AS (
    SELECT r.internalId, r.resourceType
      FROM Resources r WHERE r.publicId IN (SELECT value FROM json_each(:public_ids))
     UNION
    SELECT c.internalId, c.resourceType FROM below b JOIN Resources c ON c.parentId = b.id
)
SELECT count(*), coalesce(sum(a.uncompressedSize), 0)
  FROM below b JOIN AttachedFiles a ON a.id = b.id AND a.fileType = 1
 WHERE b.level = 4

-- instances --
SELECT r.parentId, r.internalId, r.publicId, m.value,
       a.uuid, a.compressionType, a.compressedSize, a.uncompressedSize, coalesce(a.uncompressedMD5, '')
  FROM Resources r
  JOIN AttachedFiles a ON a.id = r.internalId AND a.fileType = 1
  LEFT JOIN Metadata m ON m.id = r.internalId AND m.type = 1
 WHERE r.parentId IN (SELECT value FROM json_each(:series))
   AND (r.parentId, r.internalId) > (:after_series, :after_instance)
   AND (r.parentId NOT IN (SELECT value FROM json_each(:single_series))
        OR r.publicId IN (SELECT value FROM json_each(:public_ids)))
 ORDER BY r.parentId, r.internalId
 LIMIT :limit
