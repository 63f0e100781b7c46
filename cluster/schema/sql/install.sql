-- The Orthanc index at revision 10, on an empty PostgreSQL schema (interop/schema.md 2 to 8).
--
-- Runs in one transaction with search_path set to the configured schema alone; all names below are unqualified so
-- that the schema may be called anything. Column order matters: Orthanc's plugins insert by position. Functions and
-- triggers follow from routines/, chosen by revision in cluster/schema/steps.py.

CREATE TABLE GlobalProperties (
    property integer PRIMARY KEY,
    value text
);

CREATE TABLE ServerProperties (
    server varchar(64) NOT NULL,
    property integer,
    value text,
    PRIMARY KEY (server, property)
);

CREATE TABLE GlobalIntegers (
    key integer PRIMARY KEY,
    value bigint
);

CREATE TABLE GlobalIntegersChanges (
    pk bigserial PRIMARY KEY,
    key integer,
    value bigint
);

CREATE TABLE Resources (
    internalId bigserial PRIMARY KEY,
    resourceType integer NOT NULL,
    publicId varchar(64) NOT NULL,
    parentId bigint CONSTRAINT resources_parentid_fkey REFERENCES Resources (internalId),
    childCount integer,
    CONSTRAINT uniquepublicid UNIQUE (publicId)
);

CREATE TABLE MainDicomTags (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    tagGroup integer,
    tagElement integer,
    value text,
    PRIMARY KEY (id, tagGroup, tagElement)
);

CREATE TABLE DicomIdentifiers (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    tagGroup integer,
    tagElement integer,
    value text,
    PRIMARY KEY (id, tagGroup, tagElement)
);

CREATE TABLE Metadata (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    type integer NOT NULL,
    value text,
    revision integer,
    PRIMARY KEY (id, type)
);

CREATE TABLE AttachedFiles (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    fileType integer,
    uuid varchar(64) NOT NULL,
    compressedSize bigint,
    uncompressedSize bigint,
    compressionType integer,
    uncompressedHash varchar(40),
    compressedHash varchar(40),
    revision integer,
    customData bytea,
    PRIMARY KEY (id, fileType)
);

CREATE TABLE Labels (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    label text,
    PRIMARY KEY (id, label)
);

CREATE TABLE Changes (
    seq bigserial PRIMARY KEY,
    changeType integer,
    internalId bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    resourceType integer,
    date varchar(64)
);

CREATE TABLE ExportedResources (
    seq bigserial PRIMARY KEY,
    resourceType integer,
    publicId varchar(64),
    remoteModality text,
    patientId varchar(64),
    studyInstanceUid text,
    seriesInstanceUid text,
    sopInstanceUid text,
    date varchar(64)
);

CREATE TABLE InvalidChildCounts (
    pk bigserial PRIMARY KEY,
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    updatedAt timestamp without time zone DEFAULT now()
);

CREATE TABLE KeyValueStores (
    storeId text NOT NULL,
    key text NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (storeId, key)
);

CREATE TABLE Queues (
    id bigserial PRIMARY KEY,
    queueId text NOT NULL,
    value bytea NOT NULL,
    reservedUntil bigint
);

CREATE TABLE AuditLogs (
    ts timestamp without time zone DEFAULT now(),
    sourcePlugin text NOT NULL,
    userId text NOT NULL,
    resourceType integer NOT NULL,
    resourceId varchar(64) NOT NULL,
    action text NOT NULL,
    logData bytea
);

CREATE SEQUENCE PatientRecyclingOrderSequence;

CREATE INDEX ChildrenIndex2 ON Resources (parentId) INCLUDE (publicId, internalId);
CREATE INDEX PublicIndex ON Resources (publicId);
CREATE INDEX ResourceTypeIndex ON Resources (resourceType);
CREATE INDEX MainDicomTagsIndex ON MainDicomTags (id);
CREATE INDEX DicomIdentifiersIndex1 ON DicomIdentifiers (id);
CREATE INDEX DicomIdentifiersIndex2 ON DicomIdentifiers (tagGroup, tagElement);
CREATE INDEX DicomIdentifiersIndexValues ON DicomIdentifiers (value);
CREATE INDEX DicomIdentifiersIndex3 ON DicomIdentifiers (tagGroup, tagElement, value);
CREATE INDEX ChangesIndex ON Changes (internalId);
CREATE INDEX LabelsIndex1 ON Labels (id);
CREATE INDEX LabelsIndex2 ON Labels (label);
CREATE INDEX QueuesIndex ON Queues (queueId, id);
CREATE INDEX AuditLogsUserId ON AuditLogs (userId);
CREATE INDEX AuditLogsResourceId ON AuditLogs (resourceId);
CREATE INDEX AuditLogsAction ON AuditLogs (action);
CREATE INDEX AuditLogsSourcePlugin ON AuditLogs (sourcePlugin);
CREATE INDEX InvalidChildCountsId ON InvalidChildCounts (id);

-- What the database says of itself (interop/schema.md 8, 5) ----------------------------------------------------------

INSERT INTO GlobalIntegers (key, value) SELECT key, 0 FROM generate_series(0, 6) AS key;

INSERT INTO GlobalProperties (property, value)
VALUES (1, '6'), (4, '10'), (6, '1'), (10, '1'), (11, '3'), (12, '1'), (13, '1'), (14, '1');
