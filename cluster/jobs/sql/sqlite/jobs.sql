-- Times are seconds since 1970; 2440587.5 is that day's number.

-- create --
INSERT INTO cluster_jobs (job_id, type, priority, task, content, user_data, created_at)
VALUES (:job_id, :type, :priority, :task, :content, :user_data, (julianday('now') - 2440587.5) * 86400.0)
ON CONFLICT (job_id) DO NOTHING

-- ids --
SELECT j.job_id AS "job_id [uuid]" FROM cluster_jobs j ORDER BY j.number

-- list --
SELECT j.job_id AS "job_id [uuid]", j.type, j.state, j.priority, j.content AS "content [json]",
       j.user_data AS "user_data [json]", j.progress, j.error_code, j.error_details,
       j.created_at AS "created_at [time]", j.completed_at AS "completed_at [time]",
       j.earlier_seconds
           + CASE WHEN j.state = 'Running' THEN (julianday('now') - 2440587.5) * 86400.0 - j.begun_at ELSE 0 END,
       (julianday('now') - 2440587.5) * 86400.0 AS "now [time]"
  FROM cluster_jobs j
 WHERE :job_id IS NULL OR j.job_id = :job_id
 ORDER BY j.number

-- states --
SELECT state, count(*) FROM cluster_jobs GROUP BY state

-- cancel --
UPDATE cluster_jobs
   SET wanted = CASE WHEN state = 'Running' THEN 'cancel' END,
       state = CASE WHEN state IN ('Pending', 'Retry', 'Paused') THEN 'Failure' ELSE state END,
       error_code = CASE WHEN state IN ('Pending', 'Retry', 'Paused') THEN :canceled ELSE error_code END,
       error_details = CASE WHEN state IN ('Pending', 'Retry', 'Paused') THEN '' ELSE error_details END,
       completed_at = CASE WHEN state IN ('Pending', 'Retry', 'Paused')
                           THEN (julianday('now') - 2440587.5) * 86400.0 ELSE completed_at END
 WHERE job_id = :job_id
RETURNING state

-- pause --
UPDATE cluster_jobs
   SET wanted = CASE WHEN state = 'Running' THEN coalesce(wanted, 'pause') END,
       state = CASE WHEN state IN ('Pending', 'Retry') THEN 'Paused' ELSE state END
 WHERE job_id = :job_id
RETURNING state

-- resume --
UPDATE cluster_jobs
   SET state = CASE WHEN state = 'Paused' THEN 'Pending' ELSE state END, wanted = NULL, tries = 0
 WHERE job_id = :job_id AND (state = 'Paused' OR state = 'Running' AND wanted = 'pause')
RETURNING state

-- resubmit --
UPDATE cluster_jobs
   SET state = 'Pending', progress = 0, error_code = 0, error_details = '', completed_at = NULL, tries = 0,
       earlier_seconds = 0
 WHERE job_id = :job_id AND state = 'Failure'
RETURNING state

-- forget --
DELETE FROM cluster_jobs WHERE job_id = :job_id AND completed_at IS NOT NULL RETURNING output

-- use_output --
UPDATE cluster_jobs SET output_used_at = (julianday('now') - 2440587.5) * 86400.0
 WHERE job_id = :job_id AND output IS NOT NULL
RETURNING output, output_bytes, task AS "task [json]"

-- forget_output --
UPDATE cluster_jobs SET output = NULL, output_bytes = NULL
 WHERE job_id = :job_id AND output IS NOT NULL
RETURNING job_id
