-- Substring searches need pg_trgm. It may be missing from the server, or forbidden to this role: then searches are slower
-- and nothing else changes.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        BEGIN
            CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
        EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
            RAISE WARNING 'pg_trgm cannot be installed (%): wildcard searches will be slow', SQLERRM;
        END;
    ELSE
        RAISE WARNING 'the server does not have the extension pg_trgm: wildcard searches will be slow';
    END IF;
END
$$;
