-- Deletion as the plugins up to 5.1 do it: they delete a row and read three permanent tables; revision 1.

CREATE FUNCTION AttachedFileDeletedFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO DeletedFiles (uuid, fileType, compressedSize, uncompressedSize, compressionType,
                              uncompressedHash, compressedHash)
    VALUES (OLD.uuid, OLD.fileType, OLD.compressedSize, OLD.uncompressedSize, OLD.compressionType,
            OLD.uncompressedHash, OLD.compressedHash);
    RETURN NULL;
END
$$;

CREATE FUNCTION ResourceDeletedFunc() RETURNS trigger LANGUAGE plpgsql AS $$
-- Runs after the cascade to the row's own children, so those are recorded before it.
BEGIN
    INSERT INTO DeletedResources (resourceType, publicId) VALUES (OLD.resourceType, OLD.publicId);
    IF EXISTS (SELECT FROM Resources r WHERE r.parentId = OLD.parentId) THEN
        INSERT INTO RemainingAncestor (resourceType, publicId)
        SELECT r.resourceType, r.publicId FROM Resources r WHERE r.internalId = OLD.parentId;
    ELSE
        DELETE FROM Resources r WHERE r.internalId = OLD.parentId;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER AttachedFileDeleted AFTER DELETE ON AttachedFiles
    FOR EACH ROW EXECUTE FUNCTION AttachedFileDeletedFunc();
CREATE TRIGGER ResourceDeleted AFTER DELETE ON Resources
    FOR EACH ROW EXECUTE FUNCTION ResourceDeletedFunc();
