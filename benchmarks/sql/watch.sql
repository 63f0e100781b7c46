-- look --
-- Who waits for a lock now: application name and the time when the statement began that waits; an empty name stands for
-- the exclusive lock that the switch holds on Resources.
SELECT a.application_name || ' ' || a.query_start
  FROM pg_stat_activity a
 WHERE a.wait_event_type = 'Lock' AND a.application_name LIKE %(pattern)s AND a.datname = current_database()
UNION ALL
SELECT '' FROM pg_locks l
 WHERE l.relation = 'resources'::regclass AND l.mode = 'AccessExclusiveLock' AND l.granted

-- steps --
-- The ledger of the last online upgrade.
SELECT phase, name, extract(epoch FROM begun_at)::float8, extract(epoch FROM done_at)::float8, row_count, held_milliseconds
  FROM cluster.upgrade_steps ORDER BY place

-- history --
SELECT step, count(*) FROM cluster.schema_history GROUP BY step ORDER BY min(pk)
