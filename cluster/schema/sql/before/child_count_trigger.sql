-- Revision 3: its plugin's trigger makes a count that nobody computed 1, and nothing later would correct that. From
-- here on it adds and subtracts only where there is a count, so that what `child_counts_03` corrects stays right.
-- Locks: none on tables.
DO $outer$
BEGIN
    -- Ours, which works for whole statements, does so already.
    IF EXISTS (SELECT FROM pg_trigger
                WHERE tgrelid = 'Resources'::regclass AND tgname = 'incrementchildcount' AND tgtype & 1 = 1) THEN
        CREATE OR REPLACE FUNCTION UpdateChildCount() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                UPDATE Resources SET childCount = childCount + 1 WHERE internalId = NEW.parentId;
            ELSE
                UPDATE Resources SET childCount = childCount - 1 WHERE internalId = OLD.parentId;
            END IF;
            RETURN NULL;
        END
        $$;
    END IF;
END
$outer$
