-- delete_resource --
-- Deletes a resource, what is below it and what it leaves empty; see schema/sql/cluster_removals.sql.
-- Locks: Resources rows from the patient down, then Metadata rows of its ancestors, until commit.
SELECT is_found, remaining_level, remaining_id FROM cluster.delete_resource(%(level)s::integer, %(public_id)s::text)

-- levels --
-- Of public ids, whatever their level; unknown ids give no row.
-- Locks: none that a writer would notice.
SELECT r.publicId, r.resourceType FROM Resources r WHERE r.publicId = ANY (%(public_ids)s::text[])
