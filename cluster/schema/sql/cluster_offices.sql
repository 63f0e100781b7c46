-- What one process of the cluster does for all. Who holds the office's advisory lock begins a new term here, and names it
-- in every transaction of the work: so a process that does not know yet that it was followed changes nothing any more
-- (cluster/coordinator/election.py).

CREATE TABLE IF NOT EXISTS cluster.offices (
    office text PRIMARY KEY,
    term bigint NOT NULL,
    node text NOT NULL,
    since timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    -- Passes of this term that came to their end, and when the last one did.
    passes bigint NOT NULL DEFAULT 0,
    last_pass_at timestamp with time zone
);
