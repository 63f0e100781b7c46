-- ids --
-- Purpose: imports that are not finished, and the last finished ones, oldest first.
SELECT job_id
  FROM (SELECT j.job_id, j.created_at, f.finished,
               row_number() OVER (PARTITION BY f.finished ORDER BY j.created_at DESC) AS place
          FROM cluster.import_jobs j
         CROSS JOIN LATERAL (SELECT j.canceled_at IS NOT NULL
                                    OR j.walked_at IS NOT NULL
                                       AND NOT EXISTS (SELECT FROM cluster.import_chunks c
                                                        WHERE c.job_id = j.job_id AND c.done_at IS NULL)) f (finished)
         WHERE j.forgotten_at IS NULL) AS imports
 WHERE NOT finished OR place <= %(kept)s
 ORDER BY created_at, job_id

-- states --
-- Purpose: how many of the imports that `ids` lists are in which state. Of each, the chunks that decide are found in an
-- index, however many there are.
SELECT s.state, count(*)
  FROM (SELECT j.job_id, j.canceled_at, j.paused_at, f.finished,
               row_number() OVER (PARTITION BY f.finished ORDER BY j.created_at DESC) AS place
          FROM cluster.import_jobs j
         CROSS JOIN LATERAL (SELECT j.canceled_at IS NOT NULL
                                    OR j.walked_at IS NOT NULL
                                       AND NOT EXISTS (SELECT FROM cluster.import_chunks c
                                                        WHERE c.job_id = j.job_id AND c.done_at IS NULL)) f (finished)
         WHERE j.forgotten_at IS NULL) AS i
 CROSS JOIN LATERAL (
       SELECT CASE WHEN i.canceled_at IS NOT NULL
                        OR i.finished AND EXISTS (SELECT FROM cluster.import_chunks c
                                                   WHERE c.job_id = i.job_id AND c.failed > 0) THEN 'Failure'
                   WHEN i.finished THEN 'Success'
                   WHEN i.paused_at IS NOT NULL THEN 'Paused'
                   WHEN EXISTS (SELECT FROM cluster.import_chunks c
                                 WHERE c.job_id = i.job_id AND c.done_at IS NULL AND c.sent_at IS NOT NULL
                                   AND c.lease_until > clock_timestamp())
                        OR EXISTS (SELECT FROM cluster.import_chunks c
                                    WHERE c.job_id = i.job_id AND c.done_at IS NOT NULL) THEN 'Running'
                   ELSE 'Pending' END) AS s (state)
 WHERE NOT i.finished OR i.place <= %(kept)s
 GROUP BY s.state

-- import --
-- Purpose: one import with its counts, and the time on the server's clock.
SELECT j.job_id, j.paths, j.created_at, j.walked_at, j.paused_at, j.canceled_at,
       c.chunks, c.chunks_done, c.files, c.stored, c.already_stored, c.not_dicom, c.failed, c.held, c.last_done_at,
       clock_timestamp()
  FROM cluster.import_jobs j
 CROSS JOIN LATERAL (SELECT count(*), count(done_at), coalesce(sum(file_count), 0), coalesce(sum(stored), 0),
                            coalesce(sum(already_stored), 0), coalesce(sum(not_dicom), 0), coalesce(sum(failed), 0),
                            count(*) FILTER (WHERE done_at IS NULL AND lease_until > clock_timestamp()), max(done_at)
                       FROM cluster.import_chunks WHERE job_id = j.job_id)
            AS c (chunks, chunks_done, files, stored, already_stored, not_dicom, failed, held, last_done_at)
 WHERE j.job_id = %(job_id)s AND j.forgotten_at IS NULL

-- cancel --
-- Purpose: nothing more of an unfinished import is begun. Locks: the row of the job.
UPDATE cluster.import_jobs j SET canceled_at = clock_timestamp(), paused_at = NULL
 WHERE job_id = %(job_id)s AND canceled_at IS NULL
   AND (walked_at IS NULL OR EXISTS (SELECT FROM cluster.import_chunks c
                                      WHERE c.job_id = j.job_id AND c.done_at IS NULL))
RETURNING job_id

-- pause --
-- Purpose: nothing more of an unfinished import is begun until it is resumed. Locks: the row of the job.
UPDATE cluster.import_jobs j SET paused_at = coalesce(paused_at, clock_timestamp())
 WHERE job_id = %(job_id)s AND canceled_at IS NULL
   AND (walked_at IS NULL OR EXISTS (SELECT FROM cluster.import_chunks c
                                      WHERE c.job_id = j.job_id AND c.done_at IS NULL))
RETURNING job_id

-- take_back --
-- Purpose: nobody has these chunks any more; who works on one finds out when it renews its lease.
-- Locks: the rows of the unfinished chunks.
UPDATE cluster.import_chunks SET lease_holder = NULL, lease_until = NULL, sent_at = NULL, sends = 0
 WHERE job_id = %(job_id)s AND done_at IS NULL AND sent_at IS NOT NULL

-- resume --
-- Purpose: a paused import goes on. Locks: the row of the job.
UPDATE cluster.import_jobs SET paused_at = NULL
 WHERE job_id = %(job_id)s AND paused_at IS NOT NULL AND canceled_at IS NULL
RETURNING job_id

-- resubmit --
-- Purpose: a canceled import goes on where it ended; a finished one that failed to take in files reads their chunks again.
-- Locks: the row of the job.
UPDATE cluster.import_jobs j SET canceled_at = NULL
 WHERE job_id = %(job_id)s
   AND (canceled_at IS NOT NULL
        OR walked_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM cluster.import_chunks c WHERE c.job_id = j.job_id AND c.done_at IS NULL)
           AND EXISTS (SELECT FROM cluster.import_chunks c WHERE c.job_id = j.job_id AND c.failed > 0))
RETURNING job_id

-- read_again --
-- Purpose: chunks with failed files, as if they had never been sent. Locks: the rows of these chunks.
UPDATE cluster.import_chunks
   SET done_at = NULL, sent_at = NULL, sends = 0, lease_holder = NULL, lease_until = NULL, attempts = 0,
       stored = 0, already_stored = 0, not_dicom = 0, failed = 0, refused = '[]'
 WHERE job_id = %(job_id)s AND failed > 0

-- forget --
-- Purpose: a finished import leaves the history; its report stays. Locks: the row of the job.
UPDATE cluster.import_jobs j SET forgotten_at = clock_timestamp()
 WHERE job_id = %(job_id)s AND forgotten_at IS NULL
   AND (canceled_at IS NOT NULL
        OR walked_at IS NOT NULL AND NOT EXISTS (SELECT FROM cluster.import_chunks c
                                                  WHERE c.job_id = j.job_id AND c.done_at IS NULL))
RETURNING job_id
