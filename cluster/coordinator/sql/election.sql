-- begin_term --
-- Purpose: a new term for whoever holds the office's advisory lock. Comes back once no transaction of an earlier term is
-- under way any more, and none can begin afterwards.
-- Locks: the row of the office, for which transactions of the last term are waited (lock_timeout).
INSERT INTO cluster.offices AS o (office, term, node)
VALUES (%(office)s, 1, %(node)s)
ON CONFLICT (office) DO UPDATE
   SET term = o.term + 1, node = EXCLUDED.node, since = clock_timestamp(), passes = 0, last_pass_at = NULL
RETURNING term

-- in_office --
-- Purpose: a row if this term is the last one, which then stays so until commit. A process that stops in the middle of
-- the transaction is not waited for longer than a few seconds.
-- Locks: the row of the office FOR SHARE, until commit.
SELECT set_config('idle_in_transaction_session_timeout', %(patience)s, true)
  FROM cluster.offices
 WHERE office = %(office)s AND term = %(term)s
   FOR SHARE

-- pass_is_over --
-- Locks: the row of the office.
UPDATE cluster.offices SET passes = passes + 1, last_pass_at = clock_timestamp() WHERE office = %(office)s

-- office --
SELECT term, node, since, passes, last_pass_at FROM cluster.offices WHERE office = %(office)s
