-- Pieces of cluster/index/sqlite/stable.py, in its order.

-- read_upto --
SELECT (SELECT CAST(p.value AS INTEGER) FROM cluster_properties p WHERE p.name = 'stable_changes_read_upto'),
       coalesce((SELECT s.seq FROM sqlite_sequence s WHERE s.name = 'Changes'), 0)

-- note --
INSERT INTO cluster_unstable_resources (resource, last_instance_at)
SELECT DISTINCT a.internalId, (julianday('now') - 2440587.5) * 86400.0
  FROM Changes c
  JOIN Resources i ON i.internalId = c.internalId
  JOIN Resources se ON se.internalId = i.parentId
  JOIN Resources st ON st.internalId = se.parentId
  JOIN Resources a ON a.internalId IN (se.internalId, st.internalId, st.parentId)
 WHERE c.seq > :read_upto AND c.seq <= :upto AND c.changeType = 2
ON CONFLICT (resource) DO UPDATE SET last_instance_at = excluded.last_instance_at

-- set_read_upto --
INSERT INTO cluster_properties (name, value) VALUES ('stable_changes_read_upto', CAST(:upto AS TEXT))
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- take_quiet --
DELETE FROM cluster_unstable_resources
 WHERE last_instance_at <= (julianday('now') - 2440587.5) * 86400.0 - :stable_age
RETURNING resource

-- log_stable --
-- 12 StablePatient, 13 StableStudy, 14 StableSeries; levels are 1 to 3.
INSERT INTO Changes (changeType, internalId, resourceType, date)
SELECT 11 + r.resourceType, r.internalId, r.resourceType, strftime('%Y%m%dT%H%M%S', 'now')
  FROM Resources r WHERE r.internalId IN (SELECT value FROM json_each(:resources))
 ORDER BY r.resourceType DESC, r.internalId
