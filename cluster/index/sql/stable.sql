-- log_stable_resources --
-- Logs what has become stable; see schema/sql/cluster_stable.sql.
-- Locks: an advisory lock if it is free, Resources rows FOR KEY SHARE, the change lock, until commit.
SELECT cluster.log_stable_resources(%(stable_age)s::double precision)

-- note_new_instances --
-- Takes note of new instances before their changes go; see schema/sql/cluster_stable.sql.
-- Locks: an advisory lock, until commit.
SELECT n.upto, n.last FROM cluster.note_new_instances(%(changes)s) n
