-- batch --
-- Purpose: pending differences of the statistics go into their totals, so that the switch has few rows to rewrite.
-- Locks: GlobalIntegers rows 0 to 5, which no writer of revision 2 or later needs, and the folded rows.
WITH folded AS (
    DELETE FROM GlobalIntegersChanges
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM GlobalIntegersChanges LIMIT 20000 FOR UPDATE SKIP LOCKED))
    RETURNING key, value
), sums AS (
    SELECT key, sum(value)::bigint AS value, count(*) AS number FROM folded GROUP BY key
), totals AS (
    UPDATE GlobalIntegers AS g SET value = g.value + s.value FROM sums s WHERE g.key = s.key
)
SELECT coalesce(sum(number), 0) FROM sums
