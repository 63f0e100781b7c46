-- Metadata in one call; revision 2 and later.

CREATE FUNCTION InsertOrUpdateMetadata(
    resource_ids bigint[], metadata_types integer[], metadata_values text[], revisions integer[])
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..coalesce(array_length(resource_ids, 1), 0) LOOP
        INSERT INTO Metadata (id, type, value, revision)
        VALUES (resource_ids[i], metadata_types[i], metadata_values[i], revisions[i])
        ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;
    END LOOP;
END
$$;
