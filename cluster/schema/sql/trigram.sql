-- Substring searches. The extension may be missing from the server, or forbidden to this role: then searches are
-- slower and nothing else changes. Locks: SHARE on DicomIdentifiers while the index is built, if it is missing.
DO $$
DECLARE
    home text;
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        BEGIN
            CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
        EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
            RAISE WARNING 'pg_trgm cannot be installed (%): wildcard searches will be slow', SQLERRM;
        END;
    END IF;
    SELECT n.nspname INTO home
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF home IS NOT NULL THEN
        EXECUTE format('CREATE INDEX IF NOT EXISTS DicomIdentifiersIndexValues2'
                       ' ON DicomIdentifiers USING gin (value %I.gin_trgm_ops)', home);
    END IF;
END
$$;
