-- claim --
-- Files to be removed, the oldest first, for as long as the lease lasts.
-- Locks: rows that nobody else is claiming, until commit.
UPDATE cluster.removed_attachments
   SET lease_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
 WHERE uuid = ANY (ARRAY(
       SELECT p.uuid FROM cluster.removed_attachments p
        WHERE p.file_gone_at IS NULL AND (p.lease_until IS NULL OR p.lease_until < clock_timestamp())
        ORDER BY p.row_gone_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING uuid

-- settle --
-- Their files are gone.
-- Locks: their rows until commit.
UPDATE cluster.removed_attachments SET file_gone_at = clock_timestamp() WHERE uuid = ANY (%(uuids)s::text[])

-- forget --
-- What is gone for so long that no batch of that time can be run again. A process that was taken for dead may come back
-- much later, if its machine was frozen.
-- Locks: rows that nobody else is forgetting, until commit.
DELETE FROM cluster.removed_attachments
 WHERE uuid = ANY (ARRAY(
       SELECT p.uuid FROM cluster.removed_attachments p
        WHERE p.file_gone_at < clock_timestamp() - make_interval(secs => %(seconds)s)
          AND (NOT p.never_had_row OR p.file_gone_at < clock_timestamp() - interval '30 days')
        ORDER BY p.file_gone_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
