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

-- See cluster_jobs.sql; task, content and user_data are JSON. The number is the order in which they came.
CREATE TABLE IF NOT EXISTS cluster_jobs (
    number INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'Pending',
    priority INTEGER NOT NULL,
    task TEXT NOT NULL,
    content TEXT NOT NULL,
    user_data TEXT,
    progress INTEGER NOT NULL DEFAULT 0,
    error_code INTEGER NOT NULL DEFAULT 0,
    error_details TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    begun_at REAL,
    earlier_seconds REAL NOT NULL DEFAULT 0,
    completed_at REAL,
    retry_at REAL,
    attempt INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    lease_holder TEXT,
    lease_until REAL,
    wanted TEXT,
    output TEXT,
    output_bytes INTEGER,
    output_used_at REAL
);

-- Whoever starts has the file alone, so what was being done is nobody's.
UPDATE cluster_jobs SET lease_until = 0 WHERE state = 'Running';
