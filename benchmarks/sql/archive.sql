-- helpers --
-- One block of resources and what is written of each, to be repeated; dropped when the archive is complete.
CREATE SCHEMA benchmark;
CREATE TABLE benchmark.resource (
    place integer PRIMARY KEY, level integer NOT NULL, parent_place integer
);
CREATE TABLE benchmark.description (
    subject text, level integer, tag_group integer, tag_element integer, prefix text, first bigint, spread bigint
);
CREATE TABLE benchmark.line (
    subject text, number bigint, place integer NOT NULL, tag_group integer, tag_element integer,
    prefix text NOT NULL, first bigint, spread bigint, PRIMARY KEY (subject, number)
)

-- lines --
-- In the order of the tables' keys, so that their indexes only grow at the right end.
INSERT INTO benchmark.line (subject, number, place, tag_group, tag_element, prefix, first, spread)
SELECT d.subject, row_number() OVER (ORDER BY d.subject, r.place, d.tag_group, d.tag_element),
       r.place, d.tag_group, d.tag_element, d.prefix, d.first, d.spread
  FROM benchmark.resource r JOIN benchmark.description d ON d.level = r.level

-- resources --
-- Public ids look like Orthanc's and derive from the row's number.
INSERT INTO Resources (internalId, resourceType, publicId, parentId)
SELECT b.base + r.place, r.level, concat_ws('-', substr(r.hash, 1, 8), substr(r.hash, 9, 8), substr(r.hash, 17, 8),
                                            substr(r.hash, 25, 8), substr(r.hash, 33, 8)), b.base + r.parent_place
  FROM generate_series(0::bigint, %(last_base)s::bigint, %(size)s::bigint) AS b (base)
 CROSS JOIN LATERAL (SELECT place, level, parent_place,
                            encode(sha256(('resource ' || b.base + place)::bytea), 'hex') AS hash
                       FROM benchmark.resource ORDER BY place) AS r

-- main_dicom_tags --
INSERT INTO MainDicomTags (id, tagGroup, tagElement, value)
SELECT d.id, d.tag_group, d.tag_element, d.value
  FROM generate_series(0::bigint, %(last_base)s::bigint, %(size)s::bigint) AS b (base)
 CROSS JOIN LATERAL (SELECT b.base + place AS id, tag_group, tag_element,
                            prefix || coalesce((first + (b.base + place) %% spread)::text, '') AS value
                       FROM benchmark.line WHERE subject = 'tag' ORDER BY subject, number) AS d

-- dicom_identifiers --
INSERT INTO DicomIdentifiers (id, tagGroup, tagElement, value)
SELECT d.id, d.tag_group, d.tag_element, d.value
  FROM generate_series(0::bigint, %(last_base)s::bigint, %(size)s::bigint) AS b (base)
 CROSS JOIN LATERAL (SELECT b.base + place AS id, tag_group, tag_element,
                            prefix || coalesce((first + (b.base + place) %% spread)::text, '') AS value
                       FROM benchmark.line WHERE subject = 'identifier' ORDER BY subject, number) AS d

-- metadata --
INSERT INTO Metadata (id, type, value, revision)
SELECT d.id, d.tag_element, d.value, 0
  FROM generate_series(0::bigint, %(last_base)s::bigint, %(size)s::bigint) AS b (base)
 CROSS JOIN LATERAL (SELECT b.base + place AS id, tag_element,
                            prefix || coalesce((first + (b.base + place) %% spread)::text, '') AS value
                       FROM benchmark.line WHERE subject = 'metadata' ORDER BY subject, number) AS d

-- attached_files --
-- 0.5 MB each, not compressed.
INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType,
                           uncompressedHash, compressedHash, revision)
SELECT f.id, 1, f.hash::uuid, f.size, f.size, 1, f.hash, f.hash, 0
  FROM generate_series(0::bigint, %(last_base)s::bigint, %(size)s::bigint) AS b (base)
 CROSS JOIN LATERAL (SELECT b.base + place AS id, md5('file ' || b.base + place) AS hash,
                            524288 + (b.base + place) %% 4096 AS size
                       FROM benchmark.resource WHERE level = 3 ORDER BY place) AS f

-- changes --
-- Of the newest block only, as an archive is usually told to forget older ones; the types are NewInstance (2),
-- NewPatient (3), NewSeries (4), NewStudy (5).
INSERT INTO Changes (seq, changeType, internalId, resourceType, date)
SELECT %(last_base)s + r.place, (ARRAY[3, 5, 4, 2])[r.level + 1], %(last_base)s + r.place, r.level, '20241031T120000'
  FROM benchmark.resource r ORDER BY r.place

-- recycling_order --
-- Every 50th patient is protected, that is, absent.
INSERT INTO PatientRecyclingOrder (patientId)
SELECT r.internalId FROM Resources r WHERE r.resourceType = 0 AND r.internalId %% 50 <> 0 ORDER BY r.internalId

-- counters --
-- What the triggers would have counted.
INSERT INTO GlobalIntegers (key, value)
SELECT k.key, CASE k.key WHEN 0 THEN f.compressed ELSE f.uncompressed END
  FROM (SELECT sum(compressedSize)::bigint AS compressed, sum(uncompressedSize)::bigint AS uncompressed
          FROM AttachedFiles) AS f
 CROSS JOIN (VALUES (0), (1)) AS k (key)
UNION ALL SELECT resourceType + 2, count(*) FROM Resources GROUP BY resourceType
UNION ALL SELECT 6, max(seq) FROM Changes
    ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value

-- sequences --
SELECT setval('resources_internalid_seq', (SELECT max(internalId) FROM Resources)),
       setval('changes_seq_seq', (SELECT max(seq) FROM Changes))
