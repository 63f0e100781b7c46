-- Change numbers that follow commits; ours, beside revision 10 only.

CREATE FUNCTION LockChangesFunc() RETURNS trigger LANGUAGE plpgsql AS $$
-- Before the first number is drawn: from here to commit nobody else draws one, so that the order of the numbers is
-- the order of the commits and a reader of "since" can miss nothing. Real Orthanc nodes pass here too.
BEGIN
    PERFORM 1 FROM GlobalIntegers WHERE key = 6 FOR NO KEY UPDATE;
    RETURN NULL;
END
$$;

CREATE TRIGGER LockChanges BEFORE INSERT ON Changes
    FOR EACH STATEMENT EXECUTE FUNCTION LockChangesFunc();
