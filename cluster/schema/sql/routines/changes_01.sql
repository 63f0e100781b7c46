-- The last change number; every revision.

CREATE FUNCTION InsertedChangeFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE GlobalIntegers AS g SET value = greatest(g.value, s.last)
      FROM (SELECT max(seq) AS last FROM changed) AS s
     WHERE g.key = 6 AND s.last IS NOT NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER InsertedChange AFTER INSERT ON Changes
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION InsertedChangeFunc();
