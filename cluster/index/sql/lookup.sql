-- lookup --
-- Resources by level and id that have a value as the tag that identifies them: PatientID (0010,0020), StudyInstanceUID
-- (0020,000d), AccessionNumber (0008,0050), SeriesInstanceUID (0020,000e), SOPInstanceUID (0008,0018).
-- Locks: none that a writer would notice.
SELECT DISTINCT r.resourceType, r.publicId
  FROM (VALUES (0, 16, 32), (1, 32, 13), (1, 8, 80), (2, 32, 14), (3, 8, 24)) AS w (level, tag_group, tag_element)
  JOIN DicomIdentifiers d ON d.tagGroup = w.tag_group AND d.tagElement = w.tag_element
                         AND d.value = %(normalised)s
  JOIN Resources r ON r.internalId = d.id AND r.resourceType = w.level
 WHERE %(exact)s::text IS NULL
    OR EXISTS (SELECT 1 FROM MainDicomTags t
                WHERE t.id = d.id AND t.tagGroup = d.tagGroup AND t.tagElement = d.tagElement
                  AND t.value = %(exact)s::text)
 ORDER BY r.resourceType, r.publicId
