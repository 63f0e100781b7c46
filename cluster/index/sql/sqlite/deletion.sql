-- levels --
SELECT r.publicId, r.resourceType - 1 FROM Resources r WHERE r.publicId IN (SELECT value FROM json_each(:public_ids))

-- chain --
-- A resource and what is above it, from the patient down: internal id, level, public id, number of children.
WITH RECURSIVE way (id, parent, level, public_id) AS (
    SELECT r.internalId, r.parentId, r.resourceType - 1, r.publicId
      FROM Resources r WHERE r.publicId = :public_id AND +r.resourceType = :level + 1
     UNION ALL
    SELECT p.internalId, p.parentId, p.resourceType - 1, p.publicId FROM way w JOIN Resources p ON p.internalId = w.parent
)
SELECT w.id, w.level, w.public_id, (SELECT count(*) FROM Resources c WHERE c.parentId = w.id) FROM way w ORDER BY w.level

-- delete --
-- What is below goes by foreign key, what is left empty above by trigger.
DELETE FROM Resources WHERE internalId = :resource

-- touch --
-- LastUpdate (7).
INSERT INTO Metadata (id, type, value, revision) VALUES (:resource, 7, strftime('%Y%m%dT%H%M%S', 'now'), 0)
ON CONFLICT (id, type) DO UPDATE SET value = excluded.value, revision = 0
