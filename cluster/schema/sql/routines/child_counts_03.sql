-- Child counts kept in the parent's row; revision 3.
-- A count that nobody ever computed stays unknown, where the plugin's trigger makes it 1.

CREATE FUNCTION UpdateChildCount() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE Resources AS r
       SET childCount = r.childCount + CASE TG_OP WHEN 'INSERT' THEN s.number ELSE -s.number END
      FROM (SELECT parentId, count(*)::integer AS number FROM changed
             WHERE parentId IS NOT NULL GROUP BY parentId) AS s
     WHERE r.internalId = s.parentId;
    RETURN NULL;
END
$$;

CREATE TRIGGER IncrementChildCount AFTER INSERT ON Resources
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION UpdateChildCount();
CREATE TRIGGER DecrementChildCount AFTER DELETE ON Resources
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION UpdateChildCount();
