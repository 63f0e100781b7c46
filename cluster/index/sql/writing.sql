-- lock_resource --
-- Internal id of a resource that nobody can delete before commit.
-- Locks: its row FOR KEY SHARE, which disturbs nobody but a deletion.
SELECT r.internalId FROM Resources r WHERE r.publicId = %(public_id)s AND r.resourceType = %(level)s FOR KEY SHARE

-- log_change --
-- Locks: one GlobalIntegers row until commit (trigger), shared by every writer. Call last.
INSERT INTO Changes (changeType, internalId, resourceType, date)
VALUES (%(change_type)s, %(resource)s, %(level)s, to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS'))
