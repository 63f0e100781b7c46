-- sample_ids --
-- Some public ids of one level; they are hashes, so any that follow each other are spread over the archive.
SELECT publicId FROM Resources WHERE resourceType = %(level)s ORDER BY publicId LIMIT %(number)s

-- sample_values --
-- Some values of a tag of the resources of a level.
SELECT t.value
  FROM (SELECT internalId FROM Resources WHERE resourceType = %(level)s ORDER BY publicId LIMIT %(number)s) AS r
  JOIN MainDicomTags t ON t.id = r.internalId AND t.tagGroup = %(group)s AND t.tagElement = %(element)s
