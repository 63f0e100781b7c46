-- Times are seconds since 1970; 2440587.5 is that day's number.

-- claim --
UPDATE cluster_removed_attachments
   SET lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease_seconds
 WHERE uuid IN (
       SELECT p.uuid FROM cluster_removed_attachments p
        WHERE p.file_gone_at IS NULL
          AND (p.lease_until IS NULL OR p.lease_until < (julianday('now') - 2440587.5) * 86400.0)
        ORDER BY p.row_gone_at LIMIT :limit)
RETURNING uuid

-- settle --
UPDATE cluster_removed_attachments SET file_gone_at = (julianday('now') - 2440587.5) * 86400.0
 WHERE uuid IN (SELECT value FROM json_each(:uuids))

-- forget --
DELETE FROM cluster_removed_attachments
 WHERE uuid IN (
       SELECT p.uuid FROM cluster_removed_attachments p
        WHERE p.file_gone_at < (julianday('now') - 2440587.5) * 86400.0 - :seconds
          AND (NOT p.never_had_row OR p.file_gone_at < (julianday('now') - 2440587.5) * 86400.0 - 30 * 86400)
        ORDER BY p.file_gone_at LIMIT :limit)
