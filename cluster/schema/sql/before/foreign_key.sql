-- Resources that are no longer deleted by cascade (revision 6): the new constraint beside the old one, for new rows.
-- Deferred, because the cascade of the old one may come after the check of the new one; the switch makes it immediate.
-- Locks: SHARE ROW EXCLUSIVE on Resources, for as long as it takes to write a row into the catalogue.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conname = 'resources_parentid_fkey_next' AND conrelid = 'Resources'::regclass) THEN
        ALTER TABLE Resources
            ADD CONSTRAINT resources_parentid_fkey_next FOREIGN KEY (parentId) REFERENCES Resources (internalId)
                DEFERRABLE INITIALLY DEFERRED NOT VALID;
    END IF;
END
$$
