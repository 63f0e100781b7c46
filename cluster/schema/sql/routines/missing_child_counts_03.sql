-- Child counts that nobody ever computed; revision 3 and later.

CREATE FUNCTION ComputeMissingChildCount(batch_size bigint, OUT updated_rows_count bigint) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE Resources AS r
       SET childCount = (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId)
     WHERE r.internalId IN (SELECT m.internalId FROM Resources AS m
                             WHERE m.resourceType < 3 AND m.childCount IS NULL
                             LIMIT batch_size FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS updated_rows_count = ROW_COUNT;
END
$$;
