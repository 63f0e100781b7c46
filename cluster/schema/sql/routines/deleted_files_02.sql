-- What was deleted, for the session that deleted it; revisions 2 to 4.

CREATE FUNCTION CreateDeletedFilesTemporaryTable() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL client_min_messages = warning;
    CREATE TEMPORARY TABLE IF NOT EXISTS DeletedFiles (
        uuid varchar(64) NOT NULL,
        fileType integer,
        compressedSize bigint,
        uncompressedSize bigint,
        compressionType integer,
        uncompressedHash varchar(40),
        compressedHash varchar(40)
    );
    DELETE FROM DeletedFiles;
END
$$;

CREATE FUNCTION AttachedFileDeletedFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM changed) THEN
        INSERT INTO DeletedFiles (uuid, fileType, compressedSize, uncompressedSize, compressionType,
                                  uncompressedHash, compressedHash)
        SELECT uuid, fileType, compressedSize, uncompressedSize, compressionType,
               uncompressedHash, compressedHash
          FROM changed;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER AttachedFileDeleted AFTER DELETE ON AttachedFiles
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION AttachedFileDeletedFunc();
