-- Times are seconds since 1970.

-- register --
INSERT INTO cluster_attachment_series (series, node, unsettled, fresh_from, fresh_upto, seen_at)
VALUES (:series, :node, :unsettled, :fresh_from, :fresh_upto, (julianday('now') - 2440587.5) * 86400.0)
ON CONFLICT (series) DO UPDATE
   SET unsettled = excluded.unsettled, fresh_from = excluded.fresh_from, fresh_upto = excluded.fresh_upto,
       seen_at = excluded.seen_at, looked_at = NULL

-- unregister --
DELETE FROM cluster_attachment_series WHERE series = :series

-- silent --
SELECT s.series AS "series [uuid]", s.node, s.unsettled AS "unsettled [json]", s.fresh_from, s.fresh_upto, s.seen_at,
       s.seen_at < (julianday('now') - 2440587.5) * 86400.0 - :forget_seconds AS "is_last_look [bool]"
  FROM cluster_attachment_series s
 WHERE s.seen_at < (julianday('now') - 2440587.5) * 86400.0
                   - CASE WHEN s.looked_at IS NULL THEN :silence_seconds ELSE :forget_seconds END
 ORDER BY s.seen_at
 LIMIT :limit

-- looked --
UPDATE cluster_attachment_series SET looked_at = (julianday('now') - 2440587.5) * 86400.0
 WHERE series = :series AND seen_at = :seen_at

-- forget --
DELETE FROM cluster_attachment_series WHERE series = :series AND seen_at = :seen_at

-- doubt --
INSERT OR IGNORE INTO cluster_doubtful_files (uuid, noticed_at)
SELECT value, (julianday('now') - 2440587.5) * 86400.0 FROM json_each(:uuids)

-- doubtful --
SELECT d.uuid FROM cluster_doubtful_files d ORDER BY d.noticed_at LIMIT :limit

-- no_doubt --
DELETE FROM cluster_doubtful_files WHERE uuid IN (SELECT value FROM json_each(:uuids))

-- condemn --
INSERT OR IGNORE INTO cluster_removed_attachments (uuid, row_gone_at, never_had_row, lease_until)
SELECT u.value, (julianday('now') - 2440587.5) * 86400.0, 1, 9e999
  FROM json_each(:uuids) u
 WHERE u.value NOT IN (SELECT a.uuid FROM AttachedFiles a)

-- in_progress --
-- Nobody else: writers go one at a time, so all that began before a condemnation have ended.
SELECT NULL WHERE false

-- acquit --
DELETE FROM cluster_removed_attachments
 WHERE uuid IN (SELECT value FROM json_each(:uuids)) AND never_had_row AND uuid IN (SELECT a.uuid FROM AttachedFiles a)

-- condemned --
SELECT d.uuid FROM cluster_removed_attachments d
 WHERE d.uuid IN (SELECT value FROM json_each(:uuids)) AND d.never_had_row AND d.file_gone_at IS NULL

-- release --
UPDATE cluster_removed_attachments SET lease_until = NULL
 WHERE uuid IN (SELECT value FROM json_each(:uuids)) AND never_had_row AND file_gone_at IS NULL

-- known_attachments --
SELECT DISTINCT a.uuid FROM AttachedFiles a WHERE a.uuid IN (SELECT value FROM json_each(:uuids))
