-- Jobs of the whole cluster (cluster/jobs/README.md): what somebody asked for and does not wait for. PostgreSQL keeps
-- the state, workers claim from here; the broker only wakes them up.

CREATE TABLE IF NOT EXISTS cluster.jobs (
    job_id uuid PRIMARY KEY,
    type text NOT NULL,
    state text NOT NULL DEFAULT 'Pending'
        CHECK (state IN ('Pending', 'Running', 'Success', 'Failure', 'Paused', 'Retry')),
    priority integer NOT NULL,
    -- What is to be done, for the worker; and what GET /jobs/{id} shows as Content.
    task jsonb NOT NULL,
    content jsonb NOT NULL,
    -- As given, and json because jsonb refuses what JSON may hold (U+0000).
    user_data json,
    progress integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    -- Orthanc's number; 0 is success, or nothing to tell yet.
    error_code integer NOT NULL DEFAULT 0,
    error_details text NOT NULL DEFAULT '',
    created_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    -- Of the attempt that runs; and for how long earlier ones did.
    begun_at timestamp with time zone,
    earlier_seconds double precision NOT NULL DEFAULT 0,
    completed_at timestamp with time zone,
    -- Not before this time, in state Retry.
    retry_at timestamp with time zone,
    -- One more with each claim, never less: whoever writes says which attempt it is, and only the last one counts.
    attempt integer NOT NULL DEFAULT 0,
    -- Claims since somebody last asked for the job.
    tries integer NOT NULL DEFAULT 0,
    lease_holder text,
    lease_until timestamp with time zone,
    -- What somebody wants of the attempt that runs.
    wanted text CHECK (wanted IN ('cancel', 'pause')),
    -- File in the folder of outputs, its size in bytes, and when it was last asked for.
    output text,
    output_bytes bigint,
    output_used_at timestamp with time zone
);

CREATE INDEX IF NOT EXISTS jobs_unfinished ON cluster.jobs (priority DESC, created_at)
    WHERE state IN ('Pending', 'Running', 'Retry');
CREATE INDEX IF NOT EXISTS jobs_finished ON cluster.jobs (completed_at) WHERE completed_at IS NOT NULL;

-- Imports are jobs too; what they have to do is in cluster.import_chunks.
ALTER TABLE cluster.import_jobs ADD COLUMN IF NOT EXISTS paused_at timestamp with time zone;
ALTER TABLE cluster.import_jobs ADD COLUMN IF NOT EXISTS canceled_at timestamp with time zone;
ALTER TABLE cluster.import_jobs ADD COLUMN IF NOT EXISTS forgotten_at timestamp with time zone;

CREATE INDEX IF NOT EXISTS import_chunks_open ON cluster.import_chunks (job_id) WHERE done_at IS NULL;
-- Whether a finished import failed, for those who count them.
CREATE INDEX IF NOT EXISTS import_chunks_failed ON cluster.import_chunks (job_id) WHERE failed > 0;
