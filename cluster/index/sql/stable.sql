-- log_stable_resources --
-- Logs what has become stable; see schema/sql/cluster_stable.sql.
-- Locks: an advisory lock if it is free, Resources rows FOR KEY SHARE, the change lock, until commit.
SELECT cluster.log_stable_resources(%(stable_age)s::double precision)
