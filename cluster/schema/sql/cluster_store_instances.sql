-- A batch of received instances in one call: the hot path of the whole archive.
--
-- Effects are those of interop/ingest.md 2 for each instance, in the order of the batch. What differs from doing them
-- one by one is only when locks are taken:
--   1. rows of Resources, level by level, each level sorted by public id;
--   2. rows of Metadata that exist already (LastUpdate, recycling order), sorted by internal id and type;
--   3. the change lock (GlobalIntegers key 6), by the one INSERT into Changes, last.
-- Every batch takes them in this order, so two batches may wait for each other but cannot deadlock. A real Orthanc
-- node and overwriting do not keep the order; then PostgreSQL reports a deadlock and the caller runs the batch again.
--
-- Resources are numbered from 1 as they stand in the arrays; *_resources columns hold such numbers. Metadata without
-- a value gets the time of the transaction. Rows of tags, identifiers and metadata are written for new resources only.
--
-- Result: ('Success' | 'AlreadyStored', public id of an instance), and ('Removed', uuid) for each attachment that lost
-- its row, whose file the caller may remove after COMMIT; cluster.removed_attachments remembers it, should nobody do so.
--
-- Raises serialization_failure when another session stored or deleted one of the resources in between, OC001 when the
-- index was brought to another revision, as this function knows one, and OC003 when the file of an instance is about to
-- be removed as one that was left behind (cluster_left_files.sql).

CREATE OR REPLACE FUNCTION cluster.store_instances(
    overwrite text,                      -- Never, Always, IfChanged
    resource_levels integer[], resource_public_ids text[], resource_parents integer[],
    tag_resources integer[], tag_groups integer[], tag_elements integer[], tag_values text[],
    identifier_resources integer[], identifier_groups integer[], identifier_elements integer[],
    identifier_values text[],
    metadata_resources integer[], metadata_types integer[], metadata_values text[],
    attachment_resources integer[], attachment_types integer[], attachment_uuids text[],
    attachment_sizes bigint[], attachment_hashes text[],
    attachment_forms integer[], attachment_stored_sizes bigint[], attachment_stored_hashes text[],
    expected_resources integer[], expected_counts integer[])
RETURNS TABLE (outcome text, name text)
LANGUAGE plpgsql
-- So that a caller needs no statement before this one: those who call it alone commit in one round trip.
SET search_path FROM CURRENT
SET lock_timeout = '10s'
-- A plan made while the tables were small must not scan them when they are large, and none is made twice. For the same
-- reason conditions on resourceType are written so that its index, which finds millions, is of no use: + 0. Forbidden scans
-- count as endlessly expensive, and PostgreSQL would compile plans with one (of a small table without index) each time,
-- which takes a second.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    stamp CONSTANT text := to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS');
    internal_ids bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(resource_public_ids)]);
    is_new boolean[] := array_fill(false, ARRAY[cardinality(resource_public_ids)]);
    -- What this call has to bring into existence: the instances to be stored, and their ancestors.
    needed boolean[] := array_fill(true, ARRAY[cardinality(resource_public_ids)]);
    missing integer[];  -- levels of which a resource has to be created
    completed integer[];
    found_id bigint;
    existing record;
    r record;
    lvl integer;
BEGIN
    -- Instances that are in the index already. One that carries our own attachment is this very batch, committed by
    -- an attempt whose answer was lost. If that attachment has been removed since, it stays so: its file is going.
    FOR existing IN
        SELECT w.number, res.internalId, w.public_id, a.uuid IS NOT DISTINCT FROM mine.uuid
               OR EXISTS (SELECT FROM cluster.removed_attachments d
                           WHERE d.uuid = mine.uuid AND NOT d.never_had_row) AS own,
               a.uncompressedHash <> '' AND a.uncompressedHash = mine.hash AS unchanged
          FROM unnest(resource_levels, resource_public_ids) WITH ORDINALITY AS w (level, public_id, number)
          JOIN Resources res ON res.publicId = w.public_id AND res.resourceType + 0 = 3
          LEFT JOIN unnest(attachment_resources, attachment_types, attachment_uuids, attachment_hashes)
               AS mine (resource, type, uuid, hash) ON mine.resource = w.number AND mine.type = 1
          LEFT JOIN AttachedFiles a ON a.id = res.internalId AND a.fileType = 1
         WHERE w.level = 3
         ORDER BY w.number
    LOOP
        IF existing.own OR overwrite = 'Never' OR (overwrite = 'IfChanged' AND existing.unchanged) THEN
            needed[existing.number] := false;
            outcome := CASE WHEN existing.own THEN 'Success' ELSE 'AlreadyStored' END;
            name := existing.public_id;
            RETURN NEXT;
        ELSE
            BEGIN
                PERFORM DeleteResource(existing.internalId);
            EXCEPTION WHEN not_null_violation OR foreign_key_violation THEN
                -- Another session overwrote the same instance, or gave an emptied parent a new child.
                RAISE serialization_failure
                    USING MESSAGE = 'a resource to be overwritten was changed by another session';
            END;
            INSERT INTO cluster.removed_attachments (uuid)
            SELECT d.uuid FROM DeletedFiles d ON CONFLICT (uuid) DO NOTHING;
            RETURN QUERY SELECT 'Removed', d.uuid::text FROM DeletedFiles d;
        END IF;
    END LOOP;

    -- Not in the index any more: stored by such an attempt, and deleted since. Not before the look above, which would
    -- not see a deletion that commits in between.
    FOR r IN SELECT w.number, w.public_id, d.never_had_row
               FROM unnest(attachment_resources, attachment_uuids) AS mine (resource, uuid)
               JOIN cluster.removed_attachments d ON d.uuid = mine.uuid
               JOIN unnest(resource_public_ids) WITH ORDINALITY AS w (public_id, number) ON w.number = mine.resource
              WHERE needed[mine.resource]
    LOOP
        IF r.never_had_row THEN
            RAISE EXCEPTION USING ERRCODE = 'OC003',
                MESSAGE = 'this process was taken for dead, and its file for one that nobody would ever name';
        END IF;
        needed[r.number] := false;
        outcome := 'Success';
        name := r.public_id;
        RETURN NEXT;
    END LOOP;

    -- Resources has been touched: no switch of the schema can commit before this transaction ends, and one that
    -- committed before it is visible here, also to a call that had to wait for it. An older snapshot would not see it.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM GlobalProperties p WHERE p.property = 4 FOR SHARE;
    END IF;
    IF (SELECT p.value FROM GlobalProperties p WHERE p.property = 4) IS DISTINCT FROM '10' THEN
        RAISE EXCEPTION USING ERRCODE = 'OC001', MESSAGE = 'the index is not at revision 10 any more';
    END IF;

    IF false = ANY (needed) THEN
        FOR above IN REVERSE 2..0 LOOP
            FOR r IN SELECT w.number FROM unnest(resource_levels) WITH ORDINALITY AS w (level, number)
                      WHERE w.level = above
                        AND NOT EXISTS (SELECT FROM unnest(resource_parents, needed) AS c (parent, needed)
                                         WHERE c.parent = w.number AND c.needed)
            LOOP
                needed[r.number] := false;
            END LOOP;
        END LOOP;
    END IF;

    -- KEY SHARE keeps what was found from being deleted, and disturbs nobody but a deletion. Not for instances: one that
    -- is there now was stored by another session since the look above, and the insert says so. Numbers stand for level
    -- and public id.
    FOR r IN SELECT w.number, res.internalId
               FROM unnest(resource_levels, resource_public_ids, needed) WITH ORDINALITY
                    AS w (level, public_id, needed, number)
               JOIN Resources res ON res.publicId = w.public_id AND res.resourceType + 0 = w.level
              WHERE w.level < 3 AND w.needed
              ORDER BY w.number
                FOR KEY SHARE OF res
    LOOP
        internal_ids[r.number] := r.internalId;
    END LOOP;

    SELECT array_agg(DISTINCT w.level ORDER BY w.level) INTO missing
      FROM unnest(resource_levels, needed, internal_ids) AS w (level, needed, internal_id)
     WHERE w.needed AND w.internal_id IS NULL;

    FOREACH lvl IN ARRAY coalesce(missing, '{}') LOOP
        FOR r IN WITH absent AS (
                     SELECT w.number, w.public_id, w.parent
                       FROM unnest(resource_levels, resource_public_ids, resource_parents, needed, internal_ids)
                            WITH ORDINALITY AS w (level, public_id, parent, needed, internal_id, number)
                      WHERE w.level = lvl AND w.needed AND w.internal_id IS NULL
                 ), created AS (
                     INSERT INTO Resources (resourceType, publicId, parentId, childCount)
                     SELECT lvl, m.public_id, CASE WHEN lvl > 0 THEN internal_ids[m.parent] END, 0
                       FROM absent m ORDER BY m.public_id
                     ON CONFLICT (publicId) DO NOTHING
                     RETURNING internalId, publicId
                 )
                 SELECT m.number, c.internalId FROM absent m LEFT JOIN created c ON c.publicId = m.public_id
                  ORDER BY m.public_id
        LOOP
            IF r.internalId IS NOT NULL THEN
                internal_ids[r.number] := r.internalId;
                is_new[r.number] := true;
            ELSIF lvl < 3 THEN
                -- Another batch created it between our look and our insert, and has committed since.
                SELECT res.internalId INTO found_id
                  FROM Resources res WHERE res.publicId = resource_public_ids[r.number] AND res.resourceType + 0 = lvl
                   FOR KEY SHARE;
                internal_ids[r.number] := found_id;
            END IF;
            IF internal_ids[r.number] IS NULL THEN
                RAISE serialization_failure
                    USING MESSAGE = 'a resource of the batch was stored or deleted by another session';
            END IF;
        END LOOP;
    END LOOP;

    INSERT INTO AttachedFiles (id, fileType, uuid, compressedSize, uncompressedSize, compressionType,
                               uncompressedHash, compressedHash, revision)
    SELECT internal_ids[a.resource], a.type, a.uuid, a.stored_size, a.size, a.form, a.hash, a.stored_hash, 0
      FROM unnest(attachment_resources, attachment_types, attachment_uuids, attachment_sizes, attachment_hashes,
                  attachment_forms, attachment_stored_sizes, attachment_stored_hashes)
           AS a (resource, type, uuid, size, hash, form, stored_size, stored_hash)
     WHERE is_new[a.resource];

    INSERT INTO DicomIdentifiers (id, tagGroup, tagElement, value)
    SELECT internal_ids[t.resource], t.tag_group, t.tag_element, t.value
      FROM unnest(identifier_resources, identifier_groups, identifier_elements, identifier_values)
           AS t (resource, tag_group, tag_element, value)
     WHERE is_new[t.resource];

    INSERT INTO MainDicomTags (id, tagGroup, tagElement, value)
    SELECT internal_ids[t.resource], t.tag_group, t.tag_element, t.value
      FROM unnest(tag_resources, tag_groups, tag_elements, tag_values)
           AS t (resource, tag_group, tag_element, value)
     WHERE is_new[t.resource];

    INSERT INTO Metadata (id, type, value, revision)
    SELECT internal_ids[m.resource], m.type, coalesce(m.value, stamp), 0
      FROM unnest(metadata_resources, metadata_types, metadata_values) AS m (resource, type, value)
     WHERE is_new[m.resource];

    -- LastUpdate (7) of every ancestor and the place in the recycling queue (19) of every patient that got an instance.
    INSERT INTO Metadata (id, type, value, revision)
    SELECT u.id, u.type, coalesce(u.value, nextval('PatientRecyclingOrderSequence')::text), 0
      FROM (SELECT w.internal_id, k.type, CASE k.type WHEN 7 THEN stamp END
              FROM unnest(resource_levels, internal_ids, needed) AS w (level, internal_id, needed)
              JOIN (VALUES (7), (19)) AS k (type) ON k.type = 7 OR w.level = 0
             WHERE w.level < 3 AND w.needed
             ORDER BY w.internal_id, k.type) AS u (id, type, value)
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = 0;

    -- A series is complete when the numbers 1 to N are all there, once. From the row of LastUpdate on, whoever else
    -- adds to the series waits for us or has committed, so exactly one batch sees the last number arrive.
    SELECT array_agg(e.resource) INTO completed
      FROM unnest(expected_resources, expected_counts) AS e (resource, expected)
     WHERE needed[e.resource]
       AND (SELECT count(*) = e.expected AND count(DISTINCT i.value) = e.expected
                   AND min(i.value) = 1 AND max(i.value) = e.expected
              FROM (SELECT CASE WHEN m.value ~ '^[+-]?[0-9]{1,9}$' THEN m.value::integer END
                      FROM Resources res JOIN Metadata m ON m.id = res.internalId AND m.type = 1
                     WHERE res.parentId = internal_ids[e.resource]) AS i (value));

    INSERT INTO Changes (changeType, internalId, resourceType, date)
    WITH instance AS (
        SELECT w.number, w.parent AS series, resource_parents[w.parent] AS study,
               resource_parents[resource_parents[w.parent]] AS patient
          FROM unnest(resource_levels, resource_parents) WITH ORDINALITY AS w (level, parent, number)
         WHERE w.level = 3 AND is_new[w.number]
    ), entry (number, rank, change_type, resource) AS (
        SELECT number, 0, 2, number FROM instance
        UNION ALL SELECT min(number), 1, 4, series FROM instance WHERE is_new[series] GROUP BY series
        UNION ALL SELECT min(number), 2, 5, study FROM instance WHERE is_new[study] GROUP BY study
        UNION ALL SELECT min(number), 3, 3, patient FROM instance WHERE is_new[patient] GROUP BY patient
        UNION ALL SELECT max(number), 4, 1, series FROM instance WHERE series = ANY (completed) GROUP BY series
    )
    SELECT e.change_type, internal_ids[e.resource], resource_levels[e.resource], stamp
      FROM entry e ORDER BY e.number, e.rank;

    RETURN QUERY
    SELECT 'Success', w.public_id
      FROM unnest(resource_levels, resource_public_ids, needed) AS w (level, public_id, needed)
     WHERE w.level = 3 AND w.needed;
END
$$;
