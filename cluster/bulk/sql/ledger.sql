-- create_job --
-- Purpose: a new import; again with the same id has no effect, so that a lost answer can be asked for again.
-- Locks: none that anybody else wants.
INSERT INTO cluster.import_jobs (job_id, paths)
VALUES (%(job_id)s, %(paths)s)
ON CONFLICT (job_id) DO NOTHING

-- job --
-- Purpose: what the command was given, whether the walk has ended, and the number of the next chunk.
SELECT paths, walked_at IS NOT NULL,
       (SELECT coalesce(max(chunk) + 1, 0) FROM cluster.import_chunks WHERE job_id = %(job_id)s)
  FROM cluster.import_jobs
 WHERE job_id = %(job_id)s

-- add_chunk --
-- Purpose: a chunk of files to read, or one of refusals that is done with at once. No row in the answer: the number
-- is taken by other files, so somebody else walks for the same job.
-- Locks: key share on the row of the job.
INSERT INTO cluster.import_chunks AS chunks (job_id, chunk, files, file_count, refused, not_dicom, failed, done_at)
VALUES (%(job_id)s, %(chunk)s, %(files)s, %(file_count)s, %(refused)s, %(not_dicom)s, %(failed)s,
        CASE WHEN %(is_done)s THEN clock_timestamp() END)
ON CONFLICT (job_id, chunk) DO UPDATE SET files = EXCLUDED.files
      WHERE chunks.files = EXCLUDED.files
RETURNING chunk

-- end_walk --
-- Locks: the row of the job.
UPDATE cluster.import_jobs
   SET walked_at = clock_timestamp()
 WHERE job_id = %(job_id)s

-- files --
-- Purpose: what the walk had put into chunks, a page of chunks at a time.
SELECT chunk, files
  FROM cluster.import_chunks
 WHERE job_id = %(job_id)s AND chunk > %(after)s
 ORDER BY chunk
 LIMIT %(limit)s

-- give_up --
-- Purpose: end chunks whose worker was lost every time, since they may be the reason why.
-- Locks: the rows of these chunks; rows that another session works on are left to it.
WITH hopeless AS (
    SELECT job_id, chunk
      FROM cluster.import_chunks
     WHERE done_at IS NULL AND sent_at IS NOT NULL
       AND attempts >= %(maximum_attempts)s AND lease_until < clock_timestamp()
       FOR UPDATE SKIP LOCKED
)
UPDATE cluster.import_chunks AS chunks
   SET done_at = clock_timestamp(), lease_holder = NULL, failed = chunks.file_count,
       refused = (SELECT jsonb_agg(file || jsonb_build_object('outcome', 'failed', 'reason', %(reason)s::text))
                    FROM jsonb_array_elements(chunks.files) AS file)
  FROM hopeless
 WHERE chunks.job_id = hopeless.job_id AND chunks.chunk = hopeless.chunk
RETURNING chunks.job_id, chunks.chunk

-- take_due --
-- Purpose: the chunks that need a message now; they count as sent from here on, so nobody else sends one too.
-- Again: its worker is gone, or nobody has claimed it after a time that doubles with each message.
-- First: while fewer than the window are on their way, so that no message grows old in the queue; the lowest chunk of
-- each job goes first, so that a small import does not wait for a large one.
-- Nothing of an import that is paused or canceled.
-- Locks: the rows of these chunks; rows that another session works on are left to it.
WITH stopped AS (
    SELECT job_id FROM cluster.import_jobs WHERE paused_at IS NOT NULL OR canceled_at IS NOT NULL
), again AS (
    SELECT job_id, chunk
      FROM cluster.import_chunks
     WHERE done_at IS NULL AND sent_at IS NOT NULL AND job_id NOT IN (SELECT job_id FROM stopped)
       AND (lease_until IS NULL OR lease_until < clock_timestamp())
       AND (sent_at < lease_until
            OR sent_at < clock_timestamp() - %(resend)s::interval * 2 ^ (least(sends, 10) - 1))
       FOR UPDATE SKIP LOCKED
), first AS (
    SELECT job_id, chunk
      FROM cluster.import_chunks
     WHERE done_at IS NULL AND sent_at IS NULL AND job_id NOT IN (SELECT job_id FROM stopped)
     ORDER BY chunk, job_id
     LIMIT greatest(0, %(window)s - (SELECT count(*) FROM cluster.import_chunks
                                      WHERE done_at IS NULL AND sent_at IS NOT NULL
                                        AND job_id NOT IN (SELECT job_id FROM stopped)))
       FOR UPDATE SKIP LOCKED
)
UPDATE cluster.import_chunks AS chunks
   SET sent_at = clock_timestamp(), sends = chunks.sends + 1
  FROM (SELECT job_id, chunk FROM again UNION ALL SELECT job_id, chunk FROM first) AS due
 WHERE chunks.job_id = due.job_id AND chunks.chunk = due.chunk
RETURNING chunks.job_id, chunks.chunk

-- forget_messages --
-- Purpose: treat the unfinished chunks of a job as never sent, whatever became of the messages.
-- Locks: the rows of these chunks.
UPDATE cluster.import_chunks
   SET sent_at = NULL, sends = 0
 WHERE job_id = %(job_id)s AND done_at IS NULL AND sent_at IS NOT NULL
   AND (lease_until IS NULL OR lease_until < clock_timestamp())

-- claim --
-- Purpose: exactly one worker gets the files of a chunk that is nobody's, unless the import is paused or canceled; the same worker gets them again, so that a
-- lost answer can be asked for again.
-- Locks: the row of the chunk.
UPDATE cluster.import_chunks
   SET lease_holder = %(holder)s, lease_until = clock_timestamp() + %(lease)s::interval, attempts = attempts + 1
 WHERE job_id = %(job_id)s AND chunk = %(chunk)s AND done_at IS NULL
   AND (lease_until IS NULL OR lease_until < clock_timestamp() OR lease_holder = %(holder)s)
   AND NOT EXISTS (SELECT FROM cluster.import_jobs j WHERE j.job_id = %(job_id)s
                      AND (j.paused_at IS NOT NULL OR j.canceled_at IS NOT NULL))
RETURNING files

-- renew --
-- Purpose: a longer lease for its holder; also when it has ended and nobody came. None if the import was stopped.
-- Locks: the row of the chunk.
UPDATE cluster.import_chunks
   SET lease_until = clock_timestamp() + %(lease)s::interval
 WHERE job_id = %(job_id)s AND chunk = %(chunk)s AND done_at IS NULL AND lease_holder = %(holder)s
   AND NOT EXISTS (SELECT FROM cluster.import_jobs j WHERE j.job_id = %(job_id)s
                      AND (j.paused_at IS NOT NULL OR j.canceled_at IS NOT NULL))
RETURNING chunk

-- complete --
-- Purpose: the outcome of a chunk, from whoever holds the lease and from nobody else. The holder may say it twice.
-- Locks: the row of the chunk.
UPDATE cluster.import_chunks
   SET done_at = clock_timestamp(), stored = %(stored)s, already_stored = %(already_stored)s,
       not_dicom = %(not_dicom)s, failed = %(failed)s, refused = %(refused)s
 WHERE job_id = %(job_id)s AND chunk = %(chunk)s AND lease_holder = %(holder)s
RETURNING chunk

-- give_back --
-- Purpose: the holder stops in the middle; the chunk is due at once, and this claim does not count against it.
-- Locks: the row of the chunk.
UPDATE cluster.import_chunks
   SET lease_holder = NULL, lease_until = NULL, sent_at = NULL, attempts = greatest(attempts - 1, 0)
 WHERE job_id = %(job_id)s AND chunk = %(chunk)s AND done_at IS NULL AND lease_holder = %(holder)s
RETURNING chunk

-- unfinished --
-- Purpose: chunks of all jobs that are not done: without a message, with one, being worked on. Both indexes know only
-- such chunks. Nothing of an import that is paused or canceled.
WITH stopped AS (
    SELECT job_id FROM cluster.import_jobs WHERE paused_at IS NOT NULL OR canceled_at IS NOT NULL
)
SELECT (SELECT count(*) FROM cluster.import_chunks
         WHERE done_at IS NULL AND sent_at IS NULL AND job_id NOT IN (SELECT job_id FROM stopped)),
       count(*) FILTER (WHERE lease_until IS NULL OR lease_until < clock_timestamp()),
       count(*) FILTER (WHERE lease_until >= clock_timestamp())
  FROM cluster.import_chunks
 WHERE done_at IS NULL AND sent_at IS NOT NULL AND job_id NOT IN (SELECT job_id FROM stopped)

-- progress --
SELECT count(*), count(done_at), coalesce(sum(file_count), 0),
       coalesce(sum(stored), 0), coalesce(sum(already_stored), 0),
       coalesce(sum(not_dicom), 0), coalesce(sum(failed), 0),
       coalesce(sum(attempts), 0),
       count(*) FILTER (WHERE done_at IS NULL AND lease_until > clock_timestamp()),
       (SELECT count(*) FROM cluster.import_jobs WHERE job_id = %(job_id)s AND canceled_at IS NOT NULL)
  FROM cluster.import_chunks
 WHERE job_id = %(job_id)s

-- refusals --
-- Purpose: a page of the chunks that have any.
SELECT chunk, refused
  FROM cluster.import_chunks
 WHERE job_id = %(job_id)s AND chunk > %(after)s AND refused <> '[]'
 ORDER BY chunk
 LIMIT %(limit)s
