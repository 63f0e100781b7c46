-- What releases after 1.10 added besides columns; each statement may find its work done.

CREATE TABLE IF NOT EXISTS Labels (
    id INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE,
    label TEXT NOT NULL,
    PRIMARY KEY (id, label)
);
CREATE INDEX IF NOT EXISTS LabelsIndex1 ON Labels (id);
CREATE INDEX IF NOT EXISTS LabelsIndex2 ON Labels (label);

CREATE TABLE IF NOT EXISTS DeletedFiles (uuid TEXT NOT NULL, customData BLOB);

DROP TRIGGER IF EXISTS AttachedFileDeleted;
CREATE TRIGGER AttachedFileDeleted AFTER DELETE ON AttachedFiles BEGIN
    INSERT INTO DeletedFiles (uuid, customData) VALUES (old.uuid, old.customData);
    SELECT SignalFileDeleted(old.uuid, old.fileType, old.uncompressedSize, old.compressionType, old.compressedSize,
                             old.uncompressedMD5, old.compressedMD5);
END;

CREATE TABLE IF NOT EXISTS KeyValueStores (
    storeId TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (storeId, key)
);

CREATE TABLE IF NOT EXISTS Queues (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queueId TEXT NOT NULL,
    value BLOB NOT NULL,
    reservedUntil INTEGER DEFAULT NULL
);
CREATE INDEX IF NOT EXISTS QueuesIndex ON Queues (queueId, id);

DROP INDEX IF EXISTS DicomIdentifiersIndex2;
DROP INDEX IF EXISTS DicomIdentifiersIndexValues;
CREATE INDEX IF NOT EXISTS DicomIdentifiersIndex3 ON DicomIdentifiers (tagGroup, tagElement, value);

INSERT OR IGNORE INTO GlobalIntegers (key, value)
SELECT 0, coalesce(sum(compressedSize), 0) FROM AttachedFiles
 UNION ALL
SELECT 1, coalesce(sum(uncompressedSize), 0) FROM AttachedFiles;

INSERT OR REPLACE INTO GlobalProperties (property, value) VALUES (7, '1');
