-- lock_resource --
-- Nobody else writes in SQLite.
SELECT r.internalId FROM Resources r WHERE r.publicId = :public_id AND +r.resourceType = :level + 1

-- log_change --
INSERT INTO Changes (changeType, internalId, resourceType, date)
VALUES (:change_type, :resource, :level + 1, strftime('%Y%m%dT%H%M%S', 'now'))
