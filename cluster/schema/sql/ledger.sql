-- exists --
-- Purpose: whether our own schema is there and knows of upgrades.
-- Locks: none.
SELECT to_regclass('cluster.upgrade_steps') IS NOT NULL

-- take_over --
-- Purpose: from here on nobody with an older epoch changes anything.
-- Locks: the one row, for which a step of a predecessor is waited for.
INSERT INTO cluster.upgrade (epoch, node, pid, source, target)
VALUES (1, %(node)s, pg_backend_pid(), %(source)s, %(target)s)
ON CONFLICT (singleton) DO UPDATE
   SET epoch = upgrade.epoch + 1, node = EXCLUDED.node, pid = EXCLUDED.pid
RETURNING epoch, source, target

-- new_way --
-- Purpose: another upgrade than the last one begins.
-- Locks: the one row, and the steps of the last one.
WITH forgotten AS (
    DELETE FROM cluster.upgrade_steps
)
UPDATE cluster.upgrade SET source = %(source)s, target = %(target)s, begun_at = clock_timestamp()

-- forget --
-- Purpose: the revision was changed without this ledger.
-- Locks: the steps.
DELETE FROM cluster.upgrade_steps;
DROP TABLE IF EXISTS cluster.patients_before

-- note_abandoned --
-- Purpose: the history tells that an upgrade was begun, and given up.
-- Locks: none.
INSERT INTO cluster.schema_history (step, node)
SELECT 'abandon: ' || CASE source WHEN 0 THEN 'unknown' ELSE source::text END || ' → ' || target, %(node)s
  FROM cluster.upgrade

-- add_step --
-- Purpose: one step of the new upgrade.
-- Locks: its row.
INSERT INTO cluster.upgrade_steps (place, phase, name, lock, estimated_seconds)
VALUES (%(place)s, %(phase)s, %(name)s, %(lock)s, %(estimated_seconds)s)

-- fence --
-- Purpose: the epoch as it is, and stays until the end of the transaction.
-- Locks: the one row, against a successor but not against the upgrader's own other connections.
SELECT epoch FROM cluster.upgrade FOR SHARE

-- begin_step --
-- Purpose: a step is being worked on; its first key stays what it was when the work is taken up again.
-- Locks: its row.
UPDATE cluster.upgrade_steps
   SET begun_at = coalesce(begun_at, clock_timestamp()), last_key = coalesce(last_key, %(last_key)s)
 WHERE name = %(name)s
RETURNING done_upto, last_key

-- advance --
-- Purpose: a batch is done, in the transaction that did it.
-- Locks: the step's row.
UPDATE cluster.upgrade_steps
   SET done_upto = greatest(done_upto, %(done_upto)s), row_count = row_count + %(rows)s
 WHERE name = %(name)s

-- end_step --
-- Purpose: a step is done, in the transaction that did it.
-- Locks: its row.
WITH done AS (
    UPDATE cluster.upgrade_steps SET done_at = clock_timestamp(), begun_at = coalesce(begun_at, clock_timestamp())
     WHERE name = %(name)s AND done_at IS NULL
    RETURNING name
)
INSERT INTO cluster.schema_history (step, node) SELECT name, %(node)s FROM done

-- doers --
-- Purpose: who did each of some steps, the last time that it was done.
-- Locks: none.
SELECT DISTINCT ON (step) step, node FROM cluster.schema_history WHERE step = ANY (%(steps)s) ORDER BY step, pk DESC

-- held --
-- Purpose: how long the switch kept everybody waiting, in its own transaction.
-- Locks: its row.
UPDATE cluster.upgrade_steps SET held_milliseconds = %(milliseconds)s WHERE name = %(name)s

-- upgrade --
-- Purpose: who upgrades from where to where, or did last.
-- Locks: none.
SELECT node, source, target, pid FROM cluster.upgrade

-- steps --
-- Purpose: the steps in order, and how far each one is.
-- Locks: none.
SELECT phase, name, lock, estimated_seconds, begun_at IS NOT NULL, done_at IS NOT NULL, done_upto, last_key, row_count,
       held_milliseconds, extract(epoch FROM coalesce(done_at, clock_timestamp()) - begun_at)::double precision
  FROM cluster.upgrade_steps ORDER BY place

-- index_build --
-- Purpose: how far the upgrader is with the index that it builds, or waits for as another session builds it ahead, by the
-- larger of PostgreSQL's two measures; each of its phases begins at nothing.
-- Locks: none.
SELECT phase, greatest(blocks_done::float8 / nullif(blocks_total, 0), tuples_done::float8 / nullif(tuples_total, 0))
  FROM pg_stat_progress_create_index WHERE datname = current_database() ORDER BY pid <> %(pid)s LIMIT 1

-- incompatible_nodes --
-- Purpose: processes that are alive and cannot serve a revision.
-- Locks: none.
SELECT name, version, revisions FROM cluster.nodes
 WHERE heartbeat_at > clock_timestamp() - patience AND NOT revisions @> ARRAY[%(revision)s::integer]
 ORDER BY name
