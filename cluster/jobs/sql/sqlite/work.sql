-- Times are seconds since 1970; 2440587.5 is that day's number.

-- settle --
UPDATE cluster_jobs
   SET state = CASE WHEN wanted = 'pause' THEN 'Paused' ELSE 'Failure' END,
       error_code = CASE wanted WHEN 'cancel' THEN :canceled WHEN 'pause' THEN 0 ELSE :internal END,
       error_details = CASE WHEN wanted IS NULL THEN :reason ELSE '' END,
       completed_at = CASE WHEN wanted IS 'pause' THEN NULL ELSE (julianday('now') - 2440587.5) * 86400.0 END,
       progress = 0, wanted = NULL, lease_holder = NULL, lease_until = NULL
 WHERE state = 'Running' AND lease_until < (julianday('now') - 2440587.5) * 86400.0
   AND (wanted IS NOT NULL OR tries >= :maximum_tries)

-- claim --
UPDATE cluster_jobs
   SET state = 'Running', attempt = attempt + 1, tries = tries + 1, progress = 0, retry_at = NULL,
       lease_holder = :holder, lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease,
       begun_at = (julianday('now') - 2440587.5) * 86400.0, error_code = 0, error_details = ''
 WHERE number = (SELECT j.number FROM cluster_jobs j
                  WHERE j.state IN ('Pending', 'Running', 'Retry')
                    AND (j.lease_holder = :holder OR j.state = 'Pending'
                         OR j.state = 'Retry' AND j.retry_at <= (julianday('now') - 2440587.5) * 86400.0
                         OR j.state = 'Running' AND j.lease_until < (julianday('now') - 2440587.5) * 86400.0)
                  ORDER BY j.lease_holder IS :holder DESC, j.priority DESC, j.number
                  LIMIT 1)
RETURNING job_id AS "job_id [uuid]", type, attempt, task AS "task [json]"

-- due --
SELECT count(*) FROM cluster_jobs j
 WHERE j.state = 'Pending' OR j.state = 'Retry' AND j.retry_at <= (julianday('now') - 2440587.5) * 86400.0
    OR j.state = 'Running' AND j.lease_until < (julianday('now') - 2440587.5) * 86400.0

-- keep --
UPDATE cluster_jobs
   SET lease_until = (julianday('now') - 2440587.5) * 86400.0 + :lease, progress = :progress
 WHERE job_id = :job_id AND attempt = :attempt AND state = 'Running'
RETURNING wanted

-- end --
UPDATE cluster_jobs
   SET state = :state, progress = :progress, error_code = :error_code, error_details = :error_details,
       content = json_patch(content, :content), output = :output, output_bytes = :output_bytes,
       output_used_at = (julianday('now') - 2440587.5) * 86400.0,
       completed_at = CASE WHEN :state IN ('Success', 'Failure') THEN (julianday('now') - 2440587.5) * 86400.0 END,
       retry_at = CASE WHEN :state = 'Retry' THEN (julianday('now') - 2440587.5) * 86400.0 + :retry END,
       earlier_seconds = earlier_seconds + coalesce((julianday('now') - 2440587.5) * 86400.0 - begun_at, 0),
       begun_at = NULL, wanted = NULL, lease_until = NULL,
       tries = CASE WHEN :state = 'Retry' THEN 0 ELSE tries END
 WHERE job_id = :job_id AND attempt = :attempt AND (state = 'Running' OR state = :state AND output IS :output)
RETURNING state

-- forget_oldest --
DELETE FROM cluster_jobs
 WHERE number IN (SELECT j.number FROM cluster_jobs j WHERE j.completed_at IS NOT NULL
                   ORDER BY j.completed_at DESC, j.number DESC LIMIT -1 OFFSET :kept)

-- forget_oldest_outputs --
UPDATE cluster_jobs SET output = NULL, output_bytes = NULL
 WHERE number IN (SELECT j.number FROM cluster_jobs j WHERE j.output IS NOT NULL
                   ORDER BY j.output_used_at DESC, j.number DESC LIMIT -1 OFFSET :kept)

-- live_outputs --
SELECT f.value
  FROM json_each(:names) f
  JOIN cluster_jobs j ON j.job_id = substr(f.value, 1, 36)
 WHERE j.output = f.value OR j.state = 'Running' AND f.value = j.job_id || '-' || j.attempt
