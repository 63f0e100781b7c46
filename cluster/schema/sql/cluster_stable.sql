-- Stable resources of the whole cluster (interop/ingest.md 5): a resource is stable when it got no new instance for a
-- while, whatever node received it.
--
-- Nothing of this is on the way of an instance: who keeps house reads the new instances in Changes, where they stand in
-- the order of their commits. Changes of real Orthanc nodes count too.

-- Patients, studies and series that got an instance and are not stable yet. Ids are internal ones, which never return.
CREATE TABLE IF NOT EXISTS cluster.unstable_resources (
    resource bigint PRIMARY KEY,
    last_instance_at timestamp with time zone NOT NULL
);

CREATE INDEX IF NOT EXISTS unstable_resources_age ON cluster.unstable_resources (last_instance_at);

-- Of what is there already nothing is known, so that counts as stable. An index at an old revision is not read before its
-- upgrade; then the first look begins at the last change.
DO $$
BEGIN
    IF to_regclass('GlobalIntegers') IS NOT NULL THEN
        INSERT INTO cluster.properties (name, value)
        SELECT 'stable_changes_read_upto', g.value::text FROM GlobalIntegers g WHERE g.key = 6
        ON CONFLICT (name) DO NOTHING;
    END IF;
END
$$;

-- Takes note of the patients, studies and series of new instances: of so many changes, from where the last look ended.
-- Whoever takes changes out of the log has them noted first.
--
-- Locks: the advisory lock 4412 until commit. Returns the change up to which all are noted, and the last one of all.
CREATE OR REPLACE FUNCTION cluster.note_new_instances(changes_at_a_time bigint, OUT upto bigint, OUT last bigint)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    read_upto bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(4412);
    SELECT p.value::bigint INTO read_upto FROM cluster.properties p WHERE p.name = 'stable_changes_read_upto';
    -- Every change up to this one can be seen by the statements that follow.
    SELECT g.value INTO last FROM GlobalIntegers g WHERE g.key = 6;
    upto := least(last, coalesce(read_upto, last) + changes_at_a_time);
    IF upto IS NOT DISTINCT FROM read_upto THEN
        RETURN;
    END IF;

    INSERT INTO cluster.unstable_resources (resource, last_instance_at)
    SELECT DISTINCT a.resource, now()
      FROM Changes c
      JOIN Resources i ON i.internalId = c.internalId
      JOIN Resources se ON se.internalId = i.parentId
      JOIN Resources st ON st.internalId = se.parentId
     CROSS JOIN LATERAL (VALUES (se.internalId), (st.internalId), (st.parentId)) AS a (resource)
     WHERE c.seq > read_upto AND c.seq <= upto AND c.changeType = 2
    ON CONFLICT (resource) DO UPDATE SET last_instance_at = EXCLUDED.last_instance_at;

    INSERT INTO cluster.properties (name, value) VALUES ('stable_changes_read_upto', upto::text)
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value;
END
$$;

-- Takes note of new instances, and logs StableSeries (14), StableStudy (13) and StablePatient (12) for what has been quiet
-- for so long: once for each quiet period, as noting, forgetting and logging are one transaction of one session at a time.
--
-- Locks: the advisory lock 4412, or it does nothing; Resources rows that become stable FOR KEY SHARE, by level and public
-- id; the change lock last. Returns how many became stable.
CREATE OR REPLACE FUNCTION cluster.log_stable_resources(stable_age_seconds double precision)
RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '10s'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    stamp CONSTANT text := to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS');
    noted record;
    due bigint[];
    stable bigint[] := '{}';
    r record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(4412) THEN
        RETURN 0;
    END IF;
    SELECT n.upto, n.last INTO noted FROM cluster.note_new_instances(10000) n;
    IF noted.upto < noted.last THEN
        RETURN 0; -- an instance that was not read yet may have broken the quiet
    END IF;

    WITH quiet AS (
        DELETE FROM cluster.unstable_resources u
         WHERE u.last_instance_at <= now() - make_interval(secs => stable_age_seconds)
        RETURNING u.resource
    )
    SELECT array_agg(q.resource) INTO due FROM quiet q;

    -- What was deleted meanwhile is not stable; what is there stays until commit.
    FOR r IN SELECT s.internalId FROM Resources s WHERE s.internalId = ANY (due)
              ORDER BY s.resourceType, s.publicId FOR KEY SHARE
    LOOP
        stable := stable || r.internalId;
    END LOOP;
    IF cardinality(stable) > 0 THEN
        INSERT INTO Changes (changeType, internalId, resourceType, date)
        SELECT 12 + s.resourceType, s.internalId, s.resourceType, stamp
          FROM Resources s WHERE s.internalId = ANY (stable)
         ORDER BY s.resourceType DESC, s.internalId;
    END IF;
    RETURN cardinality(stable);
END
$$;
