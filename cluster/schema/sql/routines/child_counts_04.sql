-- Child counts by way of InvalidChildCounts (interop/schema.md 5); revision 4 and later.

CREATE FUNCTION UpdateChildCount() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO InvalidChildCounts (id)
        SELECT DISTINCT parentId FROM changed WHERE parentId IS NOT NULL;
    ELSIF EXISTS (SELECT FROM changed WHERE parentId IS NOT NULL) THEN
        BEGIN
            INSERT INTO InvalidChildCounts (id)
            SELECT DISTINCT c.parentId FROM changed c JOIN Resources r ON r.internalId = c.parentId;
        EXCEPTION WHEN foreign_key_violation THEN
            NULL; -- the parent went too, in another session
        END;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION UpdateInvalidChildCounts(OUT updated_rows_count bigint) LANGUAGE plpgsql AS $$
-- Recounts the children of the resources listed in InvalidChildCounts, leaving those that another session holds.
-- The list is emptied before counting: what is listed later than this is counted again later.
DECLARE
    locked bigint[];
BEGIN
    SELECT array_agg(r.internalId) INTO locked
      FROM (SELECT internalId FROM Resources
             WHERE internalId IN (SELECT i.id FROM InvalidChildCounts i)
             ORDER BY internalId FOR UPDATE SKIP LOCKED) AS r;
    DELETE FROM InvalidChildCounts WHERE id = ANY (locked);
    UPDATE Resources AS r
       SET childCount = (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId)
     WHERE r.internalId = ANY (locked);
    GET DIAGNOSTICS updated_rows_count = ROW_COUNT;
END
$$;

CREATE TRIGGER IncrementChildCount AFTER INSERT ON Resources
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION UpdateChildCount();
CREATE TRIGGER DecrementChildCount AFTER DELETE ON Resources
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION UpdateChildCount();
