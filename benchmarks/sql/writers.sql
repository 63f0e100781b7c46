-- connected --
-- How many writers are connected.
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %(pattern)s

-- series --
-- Series of the newest part of the archive that one of the writers may add to, with what is above them: public ids.
SELECT p.publicId, st.publicId, se.publicId
  FROM Resources se
  JOIN Resources st ON st.internalId = se.parentId
  JOIN Resources p ON p.internalId = st.parentId
 WHERE se.resourceType = 2 AND se.internalId > (SELECT max(internalId) - 50000 FROM Resources)
   AND p.internalId %% %(writers)s = %(writer)s
 ORDER BY se.internalId DESC LIMIT 100

-- create_instance --
-- Names of the columns differ between revisions, their order does not.
SELECT * FROM CreateInstance(%(patient)s, %(study)s, %(series)s, %(instance)s)

-- forget_tags --
DELETE FROM MainDicomTags WHERE id = %(id)s

-- forget_identifiers --
DELETE FROM DicomIdentifiers WHERE id = %(id)s

-- tags --
INSERT INTO MainDicomTags
SELECT %(id)s::bigint, * FROM unnest(%(groups)s::integer[], %(elements)s::integer[], %(values)s::text[])

-- identifiers --
INSERT INTO DicomIdentifiers
SELECT %(id)s::bigint, * FROM unnest(%(groups)s::integer[], %(elements)s::integer[], %(values)s::text[])

-- attach --
INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType,
                           uncompressedHash, compressedHash, revision)
VALUES (%(id)s, 1, %(uuid)s, %(size)s, %(size)s, 1, %(hash)s, %(hash)s, 0)

-- metadata --
INSERT INTO Metadata (id, type, value, revision)
SELECT id, type, value, 0 FROM unnest(%(ids)s::bigint[], %(types)s::integer[], %(values)s::text[]) AS m (id, type, value)
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision

-- change --
INSERT INTO Changes VALUES (DEFAULT, %(change_type)s, %(id)s, %(level)s, %(date)s)
