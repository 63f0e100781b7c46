-- read_statistics --
-- Totals with what is pending, by key. One statement is one snapshot, so that folding the pending changes meanwhile
-- neither loses them nor counts them twice.
-- Locks: none that a writer would notice.
SELECT g.key, (g.value + coalesce(sum(c.value), 0))::bigint
  FROM GlobalIntegers g
  LEFT JOIN GlobalIntegersChanges c ON c.key = g.key
 WHERE g.key BETWEEN 0 AND 5
 GROUP BY g.key, g.value

-- fold_statistics --
-- Locks: GlobalIntegers rows 0 to 5 in that order until commit, which no writer of resources takes.
SELECT patients_cunt FROM UpdateStatistics()

-- recount_children --
-- Locks: the Resources rows listed in InvalidChildCounts that nobody else holds, until commit.
SELECT updated_rows_count FROM UpdateInvalidChildCounts()

-- count_missing_children --
-- Locks: up to `batch` Resources rows that nobody else holds, until commit.
SELECT updated_rows_count FROM ComputeMissingChildCount(%(batch)s)

-- count_lock_waits --
-- Sessions of this database that wait for a lock now. Without the role pg_monitor, those of our own role.
-- Locks: none.
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
