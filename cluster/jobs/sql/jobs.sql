-- create --
-- Purpose: a new job; again with the same id has no effect, so that a lost answer can be asked for again.
-- Locks: none that anybody else wants.
INSERT INTO cluster.jobs (job_id, type, priority, task, content, user_data)
VALUES (%(job_id)s, %(type)s, %(priority)s, %(task)s, %(content)s, %(user_data)s)
ON CONFLICT (job_id) DO NOTHING

-- ids --
SELECT job_id FROM cluster.jobs ORDER BY created_at, job_id

-- list --
-- Purpose: one job, or all of them, with the time on the server's clock.
SELECT job_id, type, state, priority, content, user_data, progress, error_code, error_details, created_at, completed_at,
       earlier_seconds + CASE WHEN state = 'Running' THEN extract(epoch FROM clock_timestamp() - begun_at) ELSE 0 END,
       clock_timestamp()
  FROM cluster.jobs
 WHERE %(job_id)s::uuid IS NULL OR job_id = %(job_id)s
 ORDER BY created_at, job_id

-- states --
-- Purpose: how many jobs are in which state.
SELECT state, count(*) FROM cluster.jobs GROUP BY state

-- cancel --
-- Purpose: end a job that waits; tell the attempt that runs to stop. What is finished stays as it is.
-- No row in the answer: there is no such job. Locks: the row of the job.
UPDATE cluster.jobs
   SET wanted = CASE WHEN state = 'Running' THEN 'cancel' END,
       state = CASE WHEN state IN ('Pending', 'Retry', 'Paused') THEN 'Failure' ELSE state END,
       error_code = CASE WHEN state IN ('Pending', 'Retry', 'Paused') THEN %(canceled)s ELSE error_code END,
       error_details = CASE WHEN state IN ('Pending', 'Retry', 'Paused') THEN '' ELSE error_details END,
       completed_at = CASE WHEN state IN ('Pending', 'Retry', 'Paused') THEN clock_timestamp() ELSE completed_at END
 WHERE job_id = %(job_id)s
RETURNING state

-- pause --
-- Purpose: keep a job that waits from being begun; tell the attempt that runs to stop. Who wants it canceled wins.
-- No row in the answer: there is no such job. Locks: the row of the job.
UPDATE cluster.jobs
   SET wanted = CASE WHEN state = 'Running' THEN coalesce(wanted, 'pause') END,
       state = CASE WHEN state IN ('Pending', 'Retry') THEN 'Paused' ELSE state END
 WHERE job_id = %(job_id)s
RETURNING state

-- resume --
-- Purpose: let a paused job go on, or one that is about to be paused.
-- No row in the answer: there is no such job. Locks: the row of the job.
UPDATE cluster.jobs
   SET state = CASE WHEN state = 'Paused' THEN 'Pending' ELSE state END,
       wanted = NULL, tries = 0
 WHERE job_id = %(job_id)s AND (state = 'Paused' OR state = 'Running' AND wanted = 'pause')
RETURNING state

-- resubmit --
-- Purpose: a failed job is to be done again, from the beginning.
-- No row in the answer: there is no such job that failed. Locks: the row of the job.
UPDATE cluster.jobs
   SET state = 'Pending', progress = 0, error_code = 0, error_details = '', completed_at = NULL, tries = 0,
       earlier_seconds = 0
 WHERE job_id = %(job_id)s AND state = 'Failure'
RETURNING state

-- forget --
-- Purpose: a finished job leaves the history, at once. No row in the answer: there is no such finished job.
-- Locks: the row of the job.
DELETE FROM cluster.jobs WHERE job_id = %(job_id)s AND completed_at IS NOT NULL RETURNING output

-- use_output --
-- Purpose: the output of a job, which counts as used now. Locks: the row of the job.
UPDATE cluster.jobs SET output_used_at = clock_timestamp()
 WHERE job_id = %(job_id)s AND output IS NOT NULL
RETURNING output, output_bytes, task

-- forget_output --
-- Purpose: the file that the job no longer has. Locks: the row of the job.
WITH before AS (SELECT job_id, output FROM cluster.jobs WHERE job_id = %(job_id)s AND output IS NOT NULL FOR UPDATE)
UPDATE cluster.jobs AS jobs SET output = NULL, output_bytes = NULL
  FROM before WHERE jobs.job_id = before.job_id
RETURNING before.output
