-- The storage area in PostgreSQL, as Orthanc's storage plugin has it (interop/schema.md 14); only with EnableStorage.
CREATE TABLE IF NOT EXISTS StorageArea (
    uuid character varying NOT NULL PRIMARY KEY,
    content oid NOT NULL,
    type integer NOT NULL
);
CREATE OR REPLACE RULE StorageAreaDelete AS ON DELETE TO StorageArea DO ALSO SELECT lo_unlink(OLD.content);
