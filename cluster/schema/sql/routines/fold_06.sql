-- Folding of one statistic, a bounded number of rows at a time; revision 6, where GlobalIntegersChanges has no key.

CREATE FUNCTION UpdateSingleStatistic(statistics_key integer, OUT new_value bigint) LANGUAGE plpgsql AS $$
-- Locks the key's GlobalIntegers row until commit.
BEGIN
    WITH folded AS (
        DELETE FROM GlobalIntegersChanges
         WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM GlobalIntegersChanges c
                                  WHERE c.key = statistics_key LIMIT 10000 FOR UPDATE SKIP LOCKED))
        RETURNING value
    )
    UPDATE GlobalIntegers
       SET value = value + (SELECT coalesce(sum(f.value), 0) FROM folded f)
     WHERE key = statistics_key
    RETURNING value INTO new_value;
END
$$;
