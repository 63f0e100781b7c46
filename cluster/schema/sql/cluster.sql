-- Our own PostgreSQL schema, beside Orthanc's tables and unknown to Orthanc.
-- Idempotent: run again by every release that is newer than what cluster.properties says.

CREATE SCHEMA IF NOT EXISTS cluster;

-- name → value: 'version' of this file, 'index_schema' the PostgreSQL schema of the index it belongs to.
CREATE TABLE IF NOT EXISTS cluster.properties (
    name text PRIMARY KEY,
    value text NOT NULL
);

-- How often what was done to the schema, so that a test can count it.
CREATE TABLE IF NOT EXISTS cluster.schema_history (
    pk bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step text NOT NULL,
    node text NOT NULL,
    done_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);

-- Bulk imports: the memory of what has to happen; the broker only wakes workers up (cluster/bulk/README.md).
CREATE TABLE IF NOT EXISTS cluster.import_jobs (
    job_id uuid PRIMARY KEY,
    created_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    -- Array of {"path": …}: what the command was given, to go on with a walk that was interrupted.
    paths jsonb NOT NULL,
    -- When every file below the paths had got into a chunk.
    walked_at timestamp with time zone
);

CREATE TABLE IF NOT EXISTS cluster.import_chunks (
    job_id uuid NOT NULL REFERENCES cluster.import_jobs (job_id) ON DELETE CASCADE,
    chunk integer NOT NULL,
    -- Array of {"path": …}, or {"path": …, "member": …, "index": …} for a file inside a ZIP archive;
    -- "path_bytes" in hexadecimal instead of "path" where the file's name is not UTF-8.
    files jsonb NOT NULL,
    file_count integer NOT NULL,
    -- When and how many times the broker got a message about the chunk.
    sent_at timestamp with time zone,
    sends integer NOT NULL DEFAULT 0,
    -- A worker works on a chunk until its lease ends; a chunk without a living lease is anybody's.
    lease_until timestamp with time zone,
    lease_holder text,
    attempts integer NOT NULL DEFAULT 0,
    done_at timestamp with time zone,
    stored integer NOT NULL DEFAULT 0,
    already_stored integer NOT NULL DEFAULT 0,
    not_dicom integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    -- Array of the keys of "files" with "outcome" (not_dicom, failed) and "reason".
    refused jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (job_id, chunk)
);

-- What waits for its first message, and what has one: both looked up several times a second.
CREATE INDEX IF NOT EXISTS import_chunks_unsent ON cluster.import_chunks (chunk, job_id)
    WHERE done_at IS NULL AND sent_at IS NULL;
CREATE INDEX IF NOT EXISTS import_chunks_in_flight ON cluster.import_chunks (sent_at)
    WHERE done_at IS NULL AND sent_at IS NOT NULL;

-- Processes that use the index, so that a change of the schema can respect what they can serve.
CREATE TABLE IF NOT EXISTS cluster.nodes (
    node_id uuid PRIMARY KEY,
    name text NOT NULL,
    roles text[] NOT NULL,
    version text NOT NULL,
    -- Revisions of the index that the process can serve.
    revisions integer[] NOT NULL,
    -- Why it is not ready; NULL if it is.
    reason text,
    started_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    -- Without a heartbeat for this long it counts as gone.
    patience interval NOT NULL
);

-- The change of revision that is under way, or the last one: one row. Whoever works on it raises the epoch first, and
-- each step compares it in its own transaction: an upgrader that was cut off cannot go on beside its successor.
CREATE TABLE IF NOT EXISTS cluster.upgrade (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch bigint NOT NULL,
    node text NOT NULL,
    -- Backend of the upgrader, for pg_stat_progress_create_index.
    pid integer NOT NULL,
    source integer NOT NULL,
    target integer NOT NULL,
    begun_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);

-- Its steps in order. A step in batches remembers how far it came.
CREATE TABLE IF NOT EXISTS cluster.upgrade_steps (
    place integer PRIMARY KEY,
    phase text NOT NULL CHECK (phase IN ('before', 'switch', 'after')),
    name text NOT NULL,
    lock text NOT NULL,
    estimated_seconds double precision NOT NULL,
    begun_at timestamp with time zone,
    done_at timestamp with time zone,
    -- Key up to which the batches are done, and the last one.
    done_upto bigint NOT NULL DEFAULT 0,
    last_key bigint,
    row_count bigint NOT NULL DEFAULT 0,
    -- For how long the switch kept everybody else waiting.
    held_milliseconds double precision
);
