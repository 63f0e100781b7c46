-- Attachments that lost their row, and deletion of resources.
--
-- Who deletes a row of AttachedFiles writes the UUID here in the same transaction. The file goes later (cluster/ingest/
-- removal.py), so that deleting a large study does not wait for its files and a process that is killed in between loses
-- nothing. The UUID stays for a while after its file has gone: a batch whose commit was in doubt and that is run again
-- would otherwise bring back a row for a file that is no more.

CREATE TABLE IF NOT EXISTS cluster.removed_attachments (
    uuid text PRIMARY KEY,
    row_gone_at timestamp with time zone NOT NULL DEFAULT now(),
    -- A process removes the file until then; without a living lease it is anybody's.
    lease_until timestamp with time zone,
    file_gone_at timestamp with time zone
);

-- A file that no row ever named, left by a process that was killed before its commit. Who has such a UUID and comes late
-- after all gets an error; of others it is known that they were stored once.
ALTER TABLE cluster.removed_attachments ADD COLUMN IF NOT EXISTS never_had_row boolean NOT NULL DEFAULT false;

CREATE INDEX IF NOT EXISTS removed_attachments_pending ON cluster.removed_attachments (row_gone_at)
    WHERE file_gone_at IS NULL;
CREATE INDEX IF NOT EXISTS removed_attachments_settled ON cluster.removed_attachments (file_gone_at)
    WHERE file_gone_at IS NOT NULL;

-- DeleteResource for many callers at a time: effects are those of interop/ingest.md 11.
--
-- DeleteResource alone locks the direct parent only. Two callers that delete the last instances of two series of a study
-- would each see the other's series, and leave a study without children. Here everybody who deletes below a patient
-- passes its row one at a time; what is stored there goes on (KEY SHARE) but in what is about to go:
--   1. the patient, FOR NO KEY UPDATE;
--   2. from the patient down to the resource: FOR UPDATE what goes or gets a child less, FOR NO KEY UPDATE the others;
--   3. rows of Metadata (LastUpdate), sorted by internal id.
-- That is the order of cluster.store_instances. A real Orthanc climbs from below; then PostgreSQL may report a deadlock,
-- and the caller runs this again.
--
-- Result: whether there was such a resource, and its direct parent if that remains.
--
-- Raises serialization_failure when another session stored below the resource in between.
CREATE OR REPLACE FUNCTION cluster.delete_resource(
    wanted_level integer, wanted_id text, OUT is_found boolean, OUT remaining_level integer, OUT remaining_id text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    stamp CONSTANT text := to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS');
    chain bigint[];     -- internal ids from the patient down to the resource
    own integer;        -- place of the resource in the chain
    emptied integer;    -- place of the highest one that goes
    is_locked boolean;
BEGIN
    LOOP
        WITH RECURSIVE way (id, parent, level) AS (
            SELECT r.internalId, r.parentId, r.resourceType
              FROM Resources r WHERE r.publicId = wanted_id AND r.resourceType + 0 = wanted_level
             UNION ALL
            SELECT p.internalId, p.parentId, p.resourceType FROM way w JOIN Resources p ON p.internalId = w.parent
        )
        SELECT array_agg(w.id ORDER BY w.level) INTO chain FROM way w;
        is_found := chain IS NOT NULL;
        IF NOT is_found THEN
            RETURN;
        END IF;

        own := cardinality(chain);
        PERFORM FROM Resources r WHERE r.internalId = chain[1] FOR NO KEY UPDATE;
        is_locked := FOUND;

        emptied := own;
        WHILE is_locked AND emptied > 1 AND NOT EXISTS (
            SELECT FROM Resources c WHERE c.parentId = chain[emptied - 1] AND c.internalId <> chain[emptied])
        LOOP
            emptied := emptied - 1;
        END LOOP;

        FOR place IN 1..own LOOP
            EXIT WHEN NOT is_locked;
            IF place >= least(emptied, own - 1) THEN
                PERFORM FROM Resources r WHERE r.internalId = chain[place] FOR UPDATE;
            ELSE
                PERFORM FROM Resources r WHERE r.internalId = chain[place] FOR NO KEY UPDATE;
            END IF;
            is_locked := FOUND;
        END LOOP;
        -- What another session deleted in between is looked for again: it may be gone, or be there anew.
        EXIT WHEN is_locked;
    END LOOP;

    BEGIN
        SELECT d.remaining_ancestor_resource_type, d.remaining_anncestor_public_id
          INTO remaining_level, remaining_id FROM DeleteResource(chain[own]) d;
    EXCEPTION WHEN not_null_violation OR foreign_key_violation THEN
        RAISE serialization_failure
            USING MESSAGE = 'a resource to be deleted was changed by another session';
    END;

    INSERT INTO cluster.removed_attachments (uuid) SELECT d.uuid FROM DeletedFiles d ON CONFLICT (uuid) DO NOTHING;

    IF remaining_id IS NOT NULL THEN
        INSERT INTO Metadata (id, type, value, revision)
        SELECT a.id, 7, stamp, 0 FROM unnest(chain[1:own - 1]) AS a (id) ORDER BY a.id
        ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = 0;
    END IF;
END
$$;
