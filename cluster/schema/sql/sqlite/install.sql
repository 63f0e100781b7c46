-- The index in SQLite as Orthanc 1.12.8 and newer have it: names, order of columns (Orthanc inserts by position) and
-- effects of triggers are facts of that program. Levels are 1 (patient) to 4 (instance) here, not 0 to 3.
--
-- Signal* are functions that the program at the other end provides; ours do nothing.

CREATE TABLE GlobalProperties (property INTEGER PRIMARY KEY, value TEXT);

CREATE TABLE Resources (
    internalId INTEGER PRIMARY KEY AUTOINCREMENT,
    resourceType INTEGER,
    publicId TEXT,
    parentId INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE
);
CREATE INDEX ChildrenIndex ON Resources (parentId);
CREATE INDEX PublicIndex ON Resources (publicId);
CREATE INDEX ResourceTypeIndex ON Resources (resourceType);

CREATE TABLE MainDicomTags (
    id INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE,
    tagGroup INTEGER,
    tagElement INTEGER,
    value TEXT,
    PRIMARY KEY (id, tagGroup, tagElement)
);
CREATE INDEX MainDicomTagsIndex1 ON MainDicomTags (id);

CREATE TABLE DicomIdentifiers (
    id INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE,
    tagGroup INTEGER,
    tagElement INTEGER,
    value TEXT,
    PRIMARY KEY (id, tagGroup, tagElement)
);
CREATE INDEX DicomIdentifiersIndex1 ON DicomIdentifiers (id);

CREATE TABLE Metadata (
    id INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE,
    type INTEGER,
    value TEXT,
    revision INTEGER,
    PRIMARY KEY (id, type)
);

CREATE TABLE AttachedFiles (
    id INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE,
    fileType INTEGER,
    uuid TEXT,
    compressedSize INTEGER,
    uncompressedSize INTEGER,
    compressionType INTEGER,
    uncompressedMD5 TEXT,
    compressedMD5 TEXT,
    revision INTEGER,
    customData BLOB,
    PRIMARY KEY (id, fileType)
);

CREATE TABLE Changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    changeType INTEGER,
    internalId INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE,
    resourceType INTEGER,
    date TEXT
);
CREATE INDEX ChangesIndex ON Changes (internalId);

CREATE TABLE ExportedResources (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    resourceType INTEGER,
    publicId TEXT,
    remoteModality TEXT,
    patientId TEXT,
    studyInstanceUid TEXT,
    seriesInstanceUid TEXT,
    sopInstanceUid TEXT,
    date TEXT
);

-- Patients that may be recycled, the oldest first; who is not listed is protected.
CREATE TABLE PatientRecyclingOrder (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    patientId INTEGER REFERENCES Resources (internalId) ON DELETE CASCADE
);
CREATE INDEX PatientRecyclingIndex ON PatientRecyclingOrder (patientId);

-- 0 and 1: compressed and uncompressed size of all attachments.
CREATE TABLE GlobalIntegers (key INTEGER PRIMARY KEY, value INTEGER);
INSERT INTO GlobalIntegers (key, value) VALUES (0, 0), (1, 0);

CREATE TRIGGER AttachedFileIncrementSize AFTER INSERT ON AttachedFiles BEGIN
    UPDATE GlobalIntegers
       SET value = value + CASE key WHEN 0 THEN new.compressedSize ELSE new.uncompressedSize END WHERE key IN (0, 1);
END;

CREATE TRIGGER AttachedFileDecrementSize AFTER DELETE ON AttachedFiles BEGIN
    UPDATE GlobalIntegers
       SET value = value - CASE key WHEN 0 THEN old.compressedSize ELSE old.uncompressedSize END WHERE key IN (0, 1);
END;

CREATE TRIGGER ResourceDeleted AFTER DELETE ON Resources BEGIN
    SELECT SignalResourceDeleted(old.publicId, old.resourceType);
    SELECT SignalRemainingAncestor(p.publicId, p.resourceType) FROM Resources p WHERE p.internalId = old.parentId;
END;

-- The parent that lost its last child goes too, and so on: recursive_triggers has to be on.
CREATE TRIGGER ResourceDeletedParentCleaning AFTER DELETE ON Resources
WHEN NOT EXISTS (SELECT 1 FROM Resources c WHERE c.parentId = old.parentId)
BEGIN
    DELETE FROM Resources WHERE internalId = old.parentId;
END;

CREATE TRIGGER PatientAdded AFTER INSERT ON Resources WHEN new.resourceType = 1 BEGIN
    INSERT INTO PatientRecyclingOrder (patientId) VALUES (new.internalId);
END;

INSERT INTO GlobalProperties (property, value) VALUES (1, '6'), (6, '1');
