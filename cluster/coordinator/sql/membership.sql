-- heartbeat --
-- Purpose: this process is alive, can serve these revisions, and is ready or not. Forgets who has been gone for a day.
-- Locks: the process's own row; rows of the long gone.
WITH forgotten AS (
    DELETE FROM cluster.nodes WHERE heartbeat_at < clock_timestamp() - interval '1 day'
)
INSERT INTO cluster.nodes (node_id, name, roles, version, revisions, reason, patience)
VALUES (%(node_id)s, %(name)s, %(roles)s, %(version)s, %(revisions)s, %(reason)s, %(patience)s)
ON CONFLICT (node_id) DO UPDATE SET heartbeat_at = clock_timestamp(), reason = EXCLUDED.reason

-- leave --
-- Purpose: the process ends in order.
-- Locks: its own row.
DELETE FROM cluster.nodes WHERE node_id = %(node_id)s

-- live_nodes --
-- Purpose: who gave a sign of life recently, by the database's clock, in order of name.
-- Locks: none.
SELECT node_id, name, roles, version, revisions, reason, started_at, clock_timestamp() - heartbeat_at
  FROM cluster.nodes
 WHERE heartbeat_at > clock_timestamp() - patience
 ORDER BY name, started_at
