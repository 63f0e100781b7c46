-- register --
-- What a process is about to use.
-- Locks: its own row.
INSERT INTO cluster.attachment_series (series, node, unsettled, fresh_from, fresh_upto)
VALUES (%(series)s, %(node)s, %(unsettled)s::bigint[], %(fresh_from)s, %(fresh_upto)s)
ON CONFLICT (series) DO UPDATE
   SET unsettled = EXCLUDED.unsettled, fresh_from = EXCLUDED.fresh_from, fresh_upto = EXCLUDED.fresh_upto,
       seen_at = clock_timestamp(), looked_at = NULL

-- unregister --
-- The process ends in order, and left nothing open.
-- Locks: its own row.
DELETE FROM cluster.attachment_series WHERE series = %(series)s

-- silent --
-- Series to be looked at: once when their process has been silent for a while, and a last time much later, as a process
-- that was frozen may go on.
-- Locks: none.
SELECT s.series, s.node, s.unsettled, s.fresh_from, s.fresh_upto, s.seen_at,
       s.seen_at < clock_timestamp() - make_interval(secs => %(forget_seconds)s)
  FROM cluster.attachment_series s
 WHERE s.seen_at < clock_timestamp() - make_interval(secs => CASE WHEN s.looked_at IS NULL THEN %(silence_seconds)s
                                                                  ELSE %(forget_seconds)s END)
 ORDER BY s.seen_at
 LIMIT %(limit)s

-- looked --
-- Locks: the row of the series, unless its process gave a sign of life meanwhile.
UPDATE cluster.attachment_series SET looked_at = clock_timestamp() WHERE series = %(series)s AND seen_at = %(seen_at)s

-- forget --
-- Locks: the row of the series, unless its process gave a sign of life meanwhile.
DELETE FROM cluster.attachment_series WHERE series = %(series)s AND seen_at = %(seen_at)s

-- doubt --
-- Locks: none that another session would wait for.
INSERT INTO cluster.doubtful_files (uuid) SELECT u.uuid FROM unnest(%(uuids)s::text[]) AS u (uuid)
ON CONFLICT (uuid) DO NOTHING

-- doubtful --
-- Locks: none.
SELECT d.uuid FROM cluster.doubtful_files d ORDER BY d.noticed_at LIMIT %(limit)s

-- no_doubt --
-- Locks: the rows, until commit.
DELETE FROM cluster.doubtful_files WHERE uuid = ANY (%(uuids)s::text[])

-- condemn --
-- From the commit of this on no transaction that begins gives these files a row. Leased for ever: nobody removes them yet.
-- Locks: none that another session would wait for. Reads all of AttachedFiles: uuid has no index in Orthanc's schema.
INSERT INTO cluster.removed_attachments (uuid, never_had_row, lease_until)
SELECT u.uuid, true, 'infinity'
  FROM unnest(%(uuids)s::text[]) AS u (uuid)
 WHERE NOT EXISTS (SELECT FROM AttachedFiles a WHERE a.uuid = u.uuid)
ON CONFLICT (uuid) DO NOTHING

-- in_progress --
-- Transactions of this database that have begun and not ended, by virtual id
-- (https://www.postgresql.org/docs/current/view-pg-locks.html).
-- Locks: none.
SELECT l.virtualtransaction
  FROM pg_locks l JOIN pg_stat_activity s ON s.pid = l.pid
 WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted
   AND s.datname = current_database() AND l.pid <> pg_backend_pid()

-- acquit --
-- Those that got a row after all, from a transaction that had begun before.
-- Locks: the rows, until commit. Reads all of AttachedFiles.
DELETE FROM cluster.removed_attachments d
 WHERE d.uuid = ANY (%(uuids)s::text[]) AND d.never_had_row
   AND EXISTS (SELECT FROM AttachedFiles a WHERE a.uuid = d.uuid)

-- condemned --
-- Locks: none.
SELECT d.uuid FROM cluster.removed_attachments d
 WHERE d.uuid = ANY (%(uuids)s::text[]) AND d.never_had_row AND d.file_gone_at IS NULL

-- release --
-- Whoever removes files may remove these now.
-- Locks: the rows, until commit.
UPDATE cluster.removed_attachments SET lease_until = NULL
 WHERE uuid = ANY (%(uuids)s::text[]) AND never_had_row AND file_gone_at IS NULL

-- known_attachments --
-- Which of these UUIDs have a row.
-- Locks: none. Reads all of AttachedFiles: uuid has no index in Orthanc's schema.
SELECT DISTINCT a.uuid FROM AttachedFiles a WHERE a.uuid = ANY (%(uuids)s::text[])
