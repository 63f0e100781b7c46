-- Our own tables, which Orthanc does not look at. In the same file, so that one transaction covers both.

-- See cluster_removals.sql; times are seconds since 1970.
CREATE TABLE IF NOT EXISTS cluster_removed_attachments (
    uuid TEXT PRIMARY KEY,
    row_gone_at REAL NOT NULL,
    lease_until REAL,
    file_gone_at REAL,
    never_had_row INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cluster_removed_pending ON cluster_removed_attachments (row_gone_at)
    WHERE file_gone_at IS NULL;
CREATE INDEX IF NOT EXISTS cluster_removed_settled ON cluster_removed_attachments (file_gone_at)
    WHERE file_gone_at IS NOT NULL;

-- See cluster_left_files.sql; unsettled is a JSON array.
CREATE TABLE IF NOT EXISTS cluster_attachment_series (
    series TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    unsettled TEXT NOT NULL,
    fresh_from INTEGER NOT NULL,
    fresh_upto INTEGER NOT NULL,
    seen_at REAL NOT NULL,
    looked_at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cluster_doubtful_files (uuid TEXT PRIMARY KEY, noticed_at REAL NOT NULL) WITHOUT ROWID;

-- See cluster_stable.sql.
CREATE TABLE IF NOT EXISTS cluster_unstable_resources (
    resource INTEGER PRIMARY KEY,
    last_instance_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS cluster_properties (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Of what is there already nothing is known, so that counts as stable.
INSERT OR IGNORE INTO cluster_properties (name, value)
SELECT 'stable_changes_read_upto', CAST(coalesce((SELECT s.seq FROM sqlite_sequence s WHERE s.name = 'Changes'), 0) AS TEXT);
