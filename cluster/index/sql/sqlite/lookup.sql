-- lookup --
SELECT DISTINCT r.resourceType - 1, r.publicId
  FROM (VALUES (1, 16, 32), (2, 32, 13), (2, 8, 80), (3, 32, 14), (4, 8, 24)) AS w
  JOIN DicomIdentifiers d ON d.tagGroup = w.column2 AND d.tagElement = w.column3 AND d.value = :normalised
  JOIN Resources r ON r.internalId = d.id AND +r.resourceType = w.column1
 WHERE :exact IS NULL
    OR EXISTS (SELECT 1 FROM MainDicomTags t
                WHERE t.id = d.id AND t.tagGroup = d.tagGroup AND t.tagElement = d.tagElement AND t.value = :exact)
 ORDER BY r.resourceType, r.publicId
