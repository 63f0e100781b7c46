-- Folding of one statistic; revisions 2 to 5, whose plugins take the result for the total.

CREATE FUNCTION UpdateSingleStatistic(statistics_key integer, OUT new_value bigint) LANGUAGE plpgsql AS $$
-- Locks the key's GlobalIntegers row until commit.
BEGIN
    WITH folded AS (
        DELETE FROM GlobalIntegersChanges WHERE key = statistics_key RETURNING value
    )
    UPDATE GlobalIntegers
       SET value = value + (SELECT coalesce(sum(f.value), 0) FROM folded f)
     WHERE key = statistics_key
    RETURNING value INTO new_value;
END
$$;
