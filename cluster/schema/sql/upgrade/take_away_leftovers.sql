-- An index that was being built CONCURRENTLY when its builder died is there by name and INVALID: as good as none.
--
-- Locks: ACCESS EXCLUSIVE on the table of such an index, until commit.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT c.relname
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE NOT i.indisvalid AND c.relnamespace = quote_ident(current_schema())::regnamespace
           AND c.relname = ANY (ARRAY['uniquepublicid', 'uniquepatientid', 'childrenindex2', 'dicomidentifiersindex3',
                                      'dicomidentifiersindexvalues2'])
    LOOP
        EXECUTE format('DROP INDEX %I', found.relname);
    END LOOP;
END
$$;
