-- begin --
-- How far each table is, and of which source. Only in a database that was migrated.
-- Locks: none that anybody meets; the database is not served yet.
CREATE TABLE IF NOT EXISTS cluster.migration (
    name text PRIMARY KEY,
    source text NOT NULL,
    last_key text,
    done boolean NOT NULL DEFAULT false
)

-- unfinished --
-- Nobody serves an index whose schema number is not 6, and what is here instead says why.
-- Locks: the row.
UPDATE GlobalProperties SET value = %(value)s WHERE property = 1

-- cursor --
-- Locks: none.
SELECT m.source, m.last_key, m.done FROM cluster.migration m WHERE m.name = %(name)s

-- advance --
-- Locks: the row.
INSERT INTO cluster.migration (name, source, last_key, done) VALUES (%(name)s, %(source)s, %(last_key)s, %(done)s)
ON CONFLICT (name) DO UPDATE SET last_key = EXCLUDED.last_key, done = EXCLUDED.done

-- is_used --
-- Locks: none.
SELECT EXISTS (SELECT FROM Resources) OR EXISTS (SELECT FROM Changes)

-- others --
-- Processes that use the index.
-- Locks: none.
SELECT count(*) FROM cluster.nodes n WHERE n.heartbeat_at > clock_timestamp() - n.patience

-- remember_removed --
-- Locks: none that anybody meets.
INSERT INTO cluster.removed_attachments (uuid) SELECT u.uuid FROM unnest(%(uuids)s::text[]) AS u (uuid)
ON CONFLICT (uuid) DO NOTHING

-- totals --
-- The counters of the index, from its tables.
-- Locks: the rows of GlobalIntegers. Reads all of Resources and AttachedFiles.
UPDATE GlobalIntegers g SET value = a.value
  FROM (SELECT 0 AS key, coalesce(sum(compressedSize), 0) AS value FROM AttachedFiles
         UNION ALL SELECT 1, coalesce(sum(uncompressedSize), 0) FROM AttachedFiles
         UNION ALL SELECT t.level + 2, (SELECT count(*) FROM Resources r WHERE r.resourceType = t.level)
                     FROM generate_series(0, 3) AS t (level)
         UNION ALL SELECT 6, %(last_change)s) AS a
 WHERE g.key = a.key

-- set_sequence --
-- The next number is one more than the source's last.
-- Locks: none.
SELECT setval(%(sequence)s::regclass, greatest(%(last)s, 1), %(last)s > 0)

-- stable_upto --
-- Of what is there already nothing is known, so that counts as stable.
-- Locks: the row.
INSERT INTO cluster.properties (name, value) VALUES ('stable_changes_read_upto', %(last_change)s::text)
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value
