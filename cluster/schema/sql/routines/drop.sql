-- Takes away every trigger and function that any revision of the index has, whoever wrote them and whatever their
-- parameters: "create or replace" fails where names or results differ, and leaves a second function of the same name
-- where the number of parameters does (interop/schema.md 7, 12). What is not in these lists stays.
--
-- Locks: ACCESS EXCLUSIVE on Resources, AttachedFiles and Changes until commit; nothing is scanned.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT t.tgname, c.relname
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND NOT t.tgisinternal
           AND t.tgname = ANY (ARRAY[
               'attachedfiledeleted', 'attachedfileincrementsize', 'attachedfiledecrementsize',
               'countresourcestracker', 'incrementresourcestracker', 'decrementresourcestracker',
               'insertedchange', 'lockchanges', 'patientadded', 'resourcedeleted',
               'incrementchildcount', 'decrementchildcount'])
         ORDER BY c.relname DESC, t.tgname  -- Resources first, as writers take them
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', found.tgname, found.relname);
    END LOOP;
    FOR found IN
        SELECT p.oid::regprocedure AS signature
          FROM pg_proc p
         WHERE p.pronamespace = quote_ident(current_schema())::regnamespace
           AND p.proname = ANY (ARRAY[
               'attachedfiledeletedfunc', 'attachedfileincrementsizefunc', 'attachedfiledecrementsizefunc',
               'countresourcestrackerfunc', 'incrementresourcestrackerfunc', 'decrementresourcestrackerfunc',
               'insertedchangefunc', 'lockchangesfunc', 'patientaddedfunc', 'resourcedeletedfunc', 'updatechildcount',
               'createinstance', 'patientaddedorupdated', 'deleteresource', 'createdeletedfilestemporarytable',
               'deleteattachment', 'insertorupdatemetadata', 'updatesinglestatistic', 'updatestatistics',
               'computestatisticsreadonly', 'computemissingchildcount', 'updateinvalidchildcounts',
               'protectpatient', 'unprotectpatient'])
    LOOP
        EXECUTE format('DROP FUNCTION %s', found.signature);
    END LOOP;
END
$$;
