-- Substring searches where pg_trgm is installed; {pg_trgm} is the PostgreSQL schema of the extension.
-- Locks: SHARE UPDATE EXCLUSIVE on DicomIdentifiers, which no writer notices.
CREATE INDEX CONCURRENTLY DicomIdentifiersIndexValues2 ON DicomIdentifiers USING gin (value {pg_trgm}.gin_trgm_ops)
