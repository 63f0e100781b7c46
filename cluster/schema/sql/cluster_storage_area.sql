-- Attachments as large objects in the table StorageArea, which the storage plugin of Orthanc shares (interop/schema.md 14).
--
-- What came in memory is written in the transaction of its rows: there is no object without a row, whoever is killed. What
-- is too large for that is written before, by a transaction of its own, and noted in cluster.streamed_objects until the
-- transaction of its rows claims it. An object is removed by deleting its row of StorageArea, whose rule unlinks it.

CREATE TABLE IF NOT EXISTS cluster.streamed_objects (
    uuid text PRIMARY KEY,
    written_at timestamp with time zone NOT NULL DEFAULT now()
);

-- Objects of a batch; one that is there was written by this very batch, committed by an attempt whose answer was lost.
-- Locks: the new rows, until commit.
-- Raises serialization_failure when that attempt commits meanwhile.
CREATE OR REPLACE FUNCTION cluster.add_objects(uuids text[], types integer[], contents bytea[])
RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    INSERT INTO StorageArea (uuid, content, type)
    SELECT n.uuid, lo_from_bytea(0, n.content), n.type
      FROM unnest(uuids, types, contents) AS n (uuid, type, content)
     WHERE NOT EXISTS (SELECT FROM StorageArea s WHERE s.uuid = n.uuid);
EXCEPTION WHEN unique_violation THEN
    RAISE serialization_failure USING MESSAGE = 'an earlier attempt is still storing the same attachment';
END
$$;

-- An object that was written by the calling transaction, to be claimed by another one.
CREATE OR REPLACE FUNCTION cluster.note_streamed_object(new_uuid text, new_type integer, new_content oid)
RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO StorageArea (uuid, content, type) VALUES (new_uuid, new_content, new_type);
    INSERT INTO cluster.streamed_objects (uuid) VALUES (new_uuid);
END
$$;

-- The rows that the calling transaction writes will name these objects.
-- Locks: rows of StorageArea FOR KEY SHARE until commit: nobody removes them now.
-- Raises OC004 when one is gone.
CREATE OR REPLACE FUNCTION cluster.claim_streamed_objects(uuids text[])
RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    found_objects bigint;
BEGIN
    PERFORM FROM StorageArea s WHERE s.uuid = ANY (uuids) ORDER BY s.uuid FOR KEY SHARE;
    GET DIAGNOSTICS found_objects = ROW_COUNT;
    IF found_objects <> cardinality(uuids) THEN
        RAISE EXCEPTION USING ERRCODE = 'OC004', MESSAGE = 'a streamed large object was removed before its rows came';
    END IF;
    DELETE FROM cluster.streamed_objects o WHERE o.uuid = ANY (uuids);
END
$$;

-- Removes objects with their rows; what is missing is no error. For many callers at a time.
-- Locks: rows of StorageArea FOR UPDATE, sorted by uuid, until commit.
CREATE OR REPLACE FUNCTION cluster.remove_objects(uuids text[])
RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    -- Who had to wait for another remover finds the row gone, and does not unlink the object a second time.
    PERFORM FROM StorageArea s WHERE s.uuid = ANY (uuids) ORDER BY s.uuid FOR UPDATE;
    DELETE FROM StorageArea s WHERE s.uuid = ANY (uuids);
    DELETE FROM cluster.streamed_objects o WHERE o.uuid = ANY (uuids);
END
$$;

-- To be called last: removes what the transaction brought in vain, because the instance was stored already. `owners` are
-- public ids of the resources whose rows may name the objects.
CREATE OR REPLACE FUNCTION cluster.remove_unnamed_objects(uuids text[], owners text[])
RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    unnamed text[];
BEGIN
    SELECT array_agg(n.uuid) INTO unnamed
      FROM unnest(uuids, owners) AS n (uuid, owner)
     WHERE NOT EXISTS (SELECT FROM Resources r JOIN AttachedFiles a ON a.id = r.internalId
                        WHERE r.publicId = n.owner AND a.uuid = n.uuid);
    IF unnamed IS NOT NULL THEN
        PERFORM cluster.remove_objects(unnamed);
    END IF;
END
$$;

-- Seconds since an object was streamed, infinite once its rows came; NULL if there is none.
CREATE OR REPLACE FUNCTION cluster.age_of_object(of_uuid text)
RETURNS double precision
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    RETURN (SELECT coalesce(extract(epoch FROM clock_timestamp() - o.written_at), 'Infinity'::double precision)
              FROM StorageArea s LEFT JOIN cluster.streamed_objects o ON o.uuid = s.uuid WHERE s.uuid = of_uuid);
END
$$;

-- Bytes of an object from `start` on, at most `wanted`; NULL if there is none.
CREATE OR REPLACE FUNCTION cluster.read_object(of_uuid text, start bigint, wanted integer)
RETURNS bytea
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    RETURN (SELECT lo_get(s.content, start, wanted) FROM StorageArea s WHERE s.uuid = of_uuid);
END
$$;

-- Size of an object in bytes; NULL if there is none.
CREATE OR REPLACE FUNCTION cluster.size_of_object(of_uuid text)
RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    object oid;
    descriptor integer;
    size bigint;
BEGIN
    SELECT s.content INTO object FROM StorageArea s WHERE s.uuid = of_uuid;
    IF object IS NULL THEN
        RETURN NULL;
    END IF;
    descriptor := lo_open(object, 262144);  -- INV_READ
    size := lo_lseek64(descriptor, 0, 2);   -- SEEK_END
    PERFORM lo_close(descriptor);
    RETURN size;
END
$$;
