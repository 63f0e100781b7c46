-- Folding of one statistic; revision 10, where GlobalIntegersChanges has a key.

CREATE FUNCTION UpdateSingleStatistic(statistics_key integer, OUT new_value bigint) LANGUAGE plpgsql AS $$
-- Folds pending changes of one key into its total. Locks the key's GlobalIntegers row until commit.
-- SKIP LOCKED lets two housekeepers fold different rows instead of waiting for each other.
BEGIN
    WITH folded AS (
        DELETE FROM GlobalIntegersChanges
         WHERE pk IN (SELECT c.pk FROM GlobalIntegersChanges c
                       WHERE c.key = statistics_key ORDER BY c.pk LIMIT 10000 FOR UPDATE SKIP LOCKED)
        RETURNING value
    )
    UPDATE GlobalIntegers
       SET value = value + (SELECT coalesce(sum(f.value), 0) FROM folded f)
     WHERE key = statistics_key
    RETURNING value INTO new_value;
END
$$;
