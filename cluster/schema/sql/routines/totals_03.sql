-- Exact totals without writing; revision 3 and later.

CREATE FUNCTION ComputeStatisticsReadOnly(statistics_key integer, OUT accumulated_value bigint) LANGUAGE plpgsql AS $$
BEGIN
    SELECT g.value + coalesce((SELECT sum(c.value) FROM GlobalIntegersChanges c WHERE c.key = statistics_key), 0)
      INTO accumulated_value
      FROM GlobalIntegers g WHERE g.key = statistics_key;
END
$$;
