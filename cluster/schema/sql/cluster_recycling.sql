-- Limits of the archive: MaximumStorageSize, MaximumPatientCount, MaximumStorageMode (interop/ingest.md 6).
--
-- A limit holds for all nodes together, so who adds something to a limited archive does it one at a time: an advisory lock
-- from the look at the totals to commit. An archive without limits never comes here.

-- The patients that are next: some of the oldest ones, with their place in the recycling order (metadata 19) when they were
-- looked for. Places only grow, so who is still at its place is the oldest of all. What has moved, is protected or is gone
-- is left out when its turn comes. All patients are read once for many that go; and nothing is kept up to date, and no
-- index of Orthanc's tables made larger, on the way of an instance.
CREATE TABLE IF NOT EXISTS cluster.recycling_queue (
    place bigint,
    patient bigint,
    PRIMARY KEY (place, patient)
);

-- The internal id of the oldest unprotected patient that is not in `kept`; NULL if there is none.
--
-- Locks: rows of the queue, under the advisory lock 4411, which the caller holds.
CREATE OR REPLACE FUNCTION cluster.next_to_recycle(kept text[])
RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    patients_at_a_time CONSTANT integer := 10000;
    was_filled boolean := false;
    candidate record;
BEGIN
    LOOP
        FOR candidate IN SELECT q.place, q.patient FROM cluster.recycling_queue q ORDER BY q.place, q.patient LOOP
            CONTINUE WHEN EXISTS (
                SELECT FROM Resources r WHERE r.internalId = candidate.patient AND r.publicId = ANY (kept));
            IF EXISTS (SELECT FROM Metadata m WHERE m.id = candidate.patient AND m.type = 19
                          AND m.value = candidate.place::text)
               AND NOT EXISTS (SELECT FROM Metadata p
                                WHERE p.id = candidate.patient AND p.type = 18 AND p.value = 'true')
            THEN
                RETURN candidate.patient;
            END IF;
            DELETE FROM cluster.recycling_queue q WHERE q.place = candidate.place AND q.patient = candidate.patient;
        END LOOP;
        IF was_filled THEN
            RETURN NULL;
        END IF;
        was_filled := true;
        INSERT INTO cluster.recycling_queue (place, patient)
        SELECT m.value::bigint, r.internalId
          FROM Resources r JOIN Metadata m ON m.id = r.internalId AND m.type = 19
         WHERE r.resourceType = 0 AND m.value ~ '^[1-9][0-9]{0,17}$'
           AND NOT EXISTS (SELECT FROM Metadata p WHERE p.id = r.internalId AND p.type = 18 AND p.value = 'true')
         ORDER BY 1, 2
         LIMIT patients_at_a_time
        ON CONFLICT (place, patient) DO NOTHING;
    END LOOP;
END
$$;

-- Deletes the oldest unprotected patients until so much may be added; none of those in `kept`.
--
-- Locks: the advisory lock 4411, then each patient that goes, FOR UPDATE, until commit. A protection waits for it, or it
-- for the protection.
--
-- Raises OC002 when there is no room and none can be made, serialization_failure when another session stored below a
-- patient that was to go.
CREATE OR REPLACE FUNCTION cluster.make_room(
    maximum_size bigint, maximum_patients bigint,   -- 0: no such limit
    recycles boolean, added_size bigint, added_patients bigint, kept text[])
RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    oldest bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(4411);
    WHILE (maximum_size > 0 AND ComputeStatisticsReadOnly(0) + added_size > maximum_size)
       OR (maximum_patients > 0 AND ComputeStatisticsReadOnly(2) + added_patients > maximum_patients)
    LOOP
        oldest := NULL;
        IF recycles THEN
            oldest := cluster.next_to_recycle(kept);
        END IF;
        IF oldest IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'OC002',
                MESSAGE = 'the archive has reached MaximumStorageSize or MaximumPatientCount';
        END IF;
        PERFORM FROM Resources r WHERE r.internalId = oldest FOR UPDATE;
        -- Deleted or protected while we waited for it.
        CONTINUE WHEN NOT FOUND;
        CONTINUE WHEN EXISTS (SELECT FROM Metadata p WHERE p.id = oldest AND p.type = 18 AND p.value = 'true');
        BEGIN
            PERFORM DeleteResource(oldest);
        EXCEPTION WHEN not_null_violation OR foreign_key_violation THEN
            RAISE serialization_failure
                USING MESSAGE = 'a patient to be recycled was changed by another session';
        END;
        INSERT INTO cluster.removed_attachments (uuid)
        SELECT d.uuid FROM DeletedFiles d ON CONFLICT (uuid) DO NOTHING;
    END LOOP;
END
$$;

-- cluster.store_instances where the archive has a limit: room first, for what the batch really adds. No patient of the
-- batch is recycled for it; if there is no other, the caller stores the instances of the batch one at a time.
CREATE OR REPLACE FUNCTION cluster.store_within_limits(
    maximum_size bigint, maximum_patients bigint, recycles boolean,
    overwrite text,
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
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    added bigint;       -- instances
    added_size bigint;
    patients text[];
    new_patients bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(4411);

    -- Of an instance that will be overwritten the size of what goes is free again.
    SELECT count(*), coalesce(sum(mine.size - CASE WHEN res.internalId IS NULL THEN 0 ELSE
               (SELECT coalesce(sum(o.compressedSize), 0) FROM AttachedFiles o WHERE o.id = res.internalId) END), 0)
      INTO added, added_size
      FROM unnest(attachment_resources, attachment_types, attachment_uuids, attachment_stored_sizes, attachment_hashes)
           AS mine (resource, type, uuid, size, hash)
      LEFT JOIN Resources res ON res.publicId = resource_public_ids[mine.resource] AND res.resourceType + 0 = 3
      LEFT JOIN AttachedFiles a ON a.id = res.internalId AND a.fileType = 1
     WHERE mine.type = 1
       AND (res.internalId IS NULL
            OR (a.uuid IS DISTINCT FROM mine.uuid
                AND (overwrite = 'Always'
                     OR (overwrite = 'IfChanged'
                         AND (a.uncompressedHash <> '' AND a.uncompressedHash = mine.hash) IS NOT TRUE))));

    IF added > 0 THEN
        SELECT array_agg(w.public_id), count(*) FILTER (WHERE res.internalId IS NULL) INTO patients, new_patients
          FROM unnest(resource_levels, resource_public_ids) AS w (level, public_id)
          LEFT JOIN Resources res ON res.publicId = w.public_id AND res.resourceType + 0 = 0
         WHERE w.level = 0;
        PERFORM cluster.make_room(maximum_size, maximum_patients, recycles, added_size, new_patients, patients);
    END IF;

    RETURN QUERY
    SELECT s.outcome, s.name
      FROM cluster.store_instances(
               overwrite, resource_levels, resource_public_ids, resource_parents,
               tag_resources, tag_groups, tag_elements, tag_values,
               identifier_resources, identifier_groups, identifier_elements, identifier_values,
               metadata_resources, metadata_types, metadata_values,
               attachment_resources, attachment_types, attachment_uuids, attachment_sizes, attachment_hashes,
               attachment_forms, attachment_stored_sizes, attachment_stored_hashes,
               expected_resources, expected_counts) s;
END
$$;
