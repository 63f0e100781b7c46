-- settle --
-- Purpose: what nobody is left to do: jobs whose worker was lost after somebody wanted them stopped, or lost too often.
-- Locks: the rows of these jobs; rows that another session works on are left to it.
WITH lost AS (
    SELECT job_id FROM cluster.jobs
     WHERE state = 'Running' AND lease_until < clock_timestamp()
       AND (wanted IS NOT NULL OR tries >= %(maximum_tries)s)
       FOR UPDATE SKIP LOCKED
)
UPDATE cluster.jobs AS jobs
   SET state = CASE WHEN wanted = 'pause' THEN 'Paused' ELSE 'Failure' END,
       error_code = CASE wanted WHEN 'cancel' THEN %(canceled)s WHEN 'pause' THEN 0 ELSE %(internal)s END,
       error_details = CASE WHEN wanted IS NULL THEN %(reason)s ELSE '' END,
       completed_at = CASE WHEN wanted = 'pause' THEN NULL ELSE clock_timestamp() END,
       progress = 0, wanted = NULL, lease_holder = NULL, lease_until = NULL
  FROM lost WHERE jobs.job_id = lost.job_id

-- claim --
-- Purpose: exactly one worker gets the job that matters most of those that are nobody's: highest priority, then oldest.
-- The same holder gets the same job again, so that a lost answer can be asked for again.
-- Locks: the row of the job; rows that another session is about to claim are left to it.
WITH chosen AS (
    SELECT job_id FROM cluster.jobs
     WHERE state IN ('Pending', 'Running', 'Retry')
       AND (lease_holder = %(holder)s OR state = 'Pending'
            OR state = 'Retry' AND retry_at <= clock_timestamp()
            OR state = 'Running' AND lease_until < clock_timestamp())
     ORDER BY lease_holder IS NOT DISTINCT FROM %(holder)s DESC, priority DESC, created_at
     LIMIT 1
       FOR UPDATE SKIP LOCKED
)
UPDATE cluster.jobs AS jobs
   SET state = 'Running', attempt = attempt + 1, tries = tries + 1, progress = 0, retry_at = NULL,
       lease_holder = %(holder)s, lease_until = clock_timestamp() + %(lease)s::interval,
       begun_at = clock_timestamp(), error_code = 0, error_details = ''
  FROM chosen
 WHERE jobs.job_id = chosen.job_id
RETURNING jobs.job_id, jobs.type, jobs.attempt, jobs.task

-- due --
-- Purpose: how many jobs wait for a worker, and are nobody's.
SELECT count(*) FROM cluster.jobs
 WHERE state IN ('Pending', 'Running', 'Retry')
   AND (state = 'Pending' OR state = 'Retry' AND retry_at <= clock_timestamp()
        OR state = 'Running' AND lease_until < clock_timestamp())

-- keep --
-- Purpose: a longer lease, how far the work is, and what somebody wants of it.
-- No row in the answer: the job has become somebody else's, or is gone. Locks: the row of the job.
UPDATE cluster.jobs
   SET lease_until = clock_timestamp() + %(lease)s::interval, progress = %(progress)s
 WHERE job_id = %(job_id)s AND attempt = %(attempt)s AND state = 'Running'
RETURNING wanted

-- end --
-- Purpose: the attempt is over; what was wanted of it meanwhile no longer matters. May be said twice.
-- No row in the answer: the job has become somebody else's, or is gone. Locks: the row of the job.
UPDATE cluster.jobs
   SET state = %(state)s, progress = %(progress)s, error_code = %(error_code)s, error_details = %(error_details)s,
       content = content || %(content)s, output = %(output)s, output_bytes = %(output_bytes)s,
       output_used_at = clock_timestamp(),
       completed_at = CASE WHEN %(state)s IN ('Success', 'Failure') THEN clock_timestamp() END,
       retry_at = CASE WHEN %(state)s = 'Retry' THEN clock_timestamp() + %(retry)s::interval END,
       earlier_seconds = earlier_seconds + coalesce(extract(epoch FROM clock_timestamp() - begun_at), 0),
       begun_at = NULL, wanted = NULL, lease_until = NULL,
       tries = CASE WHEN %(state)s = 'Retry' THEN 0 ELSE tries END
 WHERE job_id = %(job_id)s AND attempt = %(attempt)s
   AND (state = 'Running' OR state = %(state)s AND output IS NOT DISTINCT FROM %(output)s)
RETURNING state

-- forget_oldest --
-- Purpose: no more finished jobs than the history holds.
-- Locks: the rows of these jobs; rows that another session works on are left to it.
DELETE FROM cluster.jobs
 WHERE job_id IN (SELECT job_id FROM cluster.jobs WHERE completed_at IS NOT NULL
                   ORDER BY completed_at DESC OFFSET %(kept)s FOR UPDATE SKIP LOCKED)

-- forget_oldest_outputs --
-- Purpose: no more outputs than are to be kept; the least recently used go first.
-- Locks: the rows of these jobs; rows that another session works on are left to it.
UPDATE cluster.jobs SET output = NULL, output_bytes = NULL
 WHERE job_id IN (SELECT job_id FROM cluster.jobs WHERE output IS NOT NULL
                   ORDER BY output_used_at DESC OFFSET %(kept)s FOR UPDATE SKIP LOCKED)

-- live_outputs --
-- Purpose: of some files, those that a job has, or that an attempt may be writing.
SELECT f.name
  FROM unnest(%(names)s::text[]) AS f (name)
  JOIN cluster.jobs j ON j.job_id::text = left(f.name, 36)
 WHERE j.output = f.name OR j.state = 'Running' AND f.name = j.job_id || '-' || j.attempt
