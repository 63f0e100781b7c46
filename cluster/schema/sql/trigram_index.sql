-- The index for substring searches, where pg_trgm is installed.
-- Locks: SHARE on DicomIdentifiers while the index is built, if it is missing.
DO $$
DECLARE
    home text;
BEGIN
    SELECT n.nspname INTO home
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF home IS NOT NULL THEN
        EXECUTE format('CREATE INDEX IF NOT EXISTS DicomIdentifiersIndexValues2'
                       ' ON DicomIdentifiers USING gin (value %I.gin_trgm_ops)', home);
    END IF;
END
$$;
