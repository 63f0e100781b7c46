-- Files that a killed process left without a row, found by their names.
--
-- A process names its files by counting: the n-th UUID of its series (cluster/storage/names.py). It registers its series
-- and a block of numbers before it uses them, so whoever comes after it knows each file that it can have written since,
-- and looks for those alone.

CREATE TABLE IF NOT EXISTS cluster.attachment_series (
    series uuid PRIMARY KEY,
    node text NOT NULL,
    -- Numbers of files whose fate was open when the process registered last.
    unsettled bigint[] NOT NULL,
    -- Numbers that it may have used since: from this one up to that one, which is not included.
    fresh_from bigint NOT NULL,
    fresh_upto bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    -- When somebody looked for files of the series after it had fallen silent.
    looked_at timestamp with time zone
);

CREATE INDEX IF NOT EXISTS attachment_series_silence ON cluster.attachment_series (seen_at);

-- Files that were there without a row: the process was killed before its commit, or the answer to its COMMIT was lost.
CREATE TABLE IF NOT EXISTS cluster.doubtful_files (
    uuid text PRIMARY KEY,
    noticed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
