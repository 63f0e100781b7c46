-- The Orthanc index at revision 10, on an empty PostgreSQL schema (interop/schema.md 2 to 8).
--
-- Runs in one transaction with search_path set to the configured schema alone; all names below are unqualified so
-- that the schema may be called anything. Column order matters: Orthanc's plugins insert by position.
--
-- Where Orthanc has a row-level trigger ours is statement-level with a transition table: same trigger and function
-- name, same rows afterwards, one execution for a batch. A statement-level trigger also fires for no row at all, so
-- each function first looks whether there is anything to do.

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

-- Substring searches. The extension may be missing from the server, or forbidden to this role: then searches are
-- slower and nothing else changes.
DO $$
DECLARE
    home text;
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        BEGIN
            CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
        EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
            RAISE WARNING 'pg_trgm cannot be installed (%): wildcard searches will be slow', SQLERRM;
        END;
    END IF;
    SELECT n.nspname INTO home
      FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF home IS NOT NULL THEN
        EXECUTE format('CREATE INDEX DicomIdentifiersIndexValues2 ON DicomIdentifiers USING gin (value %I.gin_trgm_ops)',
                       home);
    END IF;
END
$$;

-- Statistics ---------------------------------------------------------------------------------------------------------

CREATE FUNCTION AttachedFileIncrementSizeFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO GlobalIntegersChanges (key, value)
    SELECT k.key, CASE k.key WHEN 0 THEN s.compressed ELSE s.uncompressed END
      FROM (SELECT sum(compressedSize)::bigint AS compressed, sum(uncompressedSize)::bigint AS uncompressed
              FROM changed HAVING count(*) > 0) AS s
     CROSS JOIN (VALUES (0), (1)) AS k (key);
    RETURN NULL;
END
$$;

CREATE FUNCTION AttachedFileDecrementSizeFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO GlobalIntegersChanges (key, value)
    SELECT k.key, -CASE k.key WHEN 0 THEN s.compressed ELSE s.uncompressed END
      FROM (SELECT sum(compressedSize)::bigint AS compressed, sum(uncompressedSize)::bigint AS uncompressed
              FROM changed HAVING count(*) > 0) AS s
     CROSS JOIN (VALUES (0), (1)) AS k (key);
    RETURN NULL;
END
$$;

CREATE FUNCTION IncrementResourcesTrackerFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO GlobalIntegersChanges (key, value)
    SELECT resourceType + 2, count(*) FROM changed GROUP BY resourceType ORDER BY resourceType;
    RETURN NULL;
END
$$;

CREATE FUNCTION DecrementResourcesTrackerFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO GlobalIntegersChanges (key, value)
    SELECT resourceType + 2, -count(*) FROM changed GROUP BY resourceType ORDER BY resourceType;
    RETURN NULL;
END
$$;

CREATE FUNCTION UpdateSingleStatistic(statistics_key integer, OUT new_value bigint) LANGUAGE plpgsql AS $$
-- Folds pending changes of one key into its total. Locks the key's GlobalIntegers row until commit.
-- SKIP LOCKED lets two housekeepers fold different rows instead of waiting for each other.
BEGIN
    WITH folded AS (
        DELETE FROM GlobalIntegersChanges
         WHERE pk IN (SELECT c.pk FROM GlobalIntegersChanges c
                       WHERE c.key = statistics_key ORDER BY c.pk LIMIT 10000 FOR UPDATE SKIP LOCKED)
        RETURNING value
    )
    UPDATE GlobalIntegers
       SET value = value + (SELECT coalesce(sum(f.value), 0) FROM folded f)
     WHERE key = statistics_key
    RETURNING value INTO new_value;
END
$$;

CREATE FUNCTION UpdateStatistics(
    OUT patients_cunt bigint, OUT studies_count bigint, OUT series_count bigint, OUT instances_count bigint,
    OUT total_compressed_size bigint, OUT total_uncompressed_size bigint) LANGUAGE plpgsql AS $$
BEGIN
    total_compressed_size := UpdateSingleStatistic(0);
    total_uncompressed_size := UpdateSingleStatistic(1);
    patients_cunt := UpdateSingleStatistic(2);
    studies_count := UpdateSingleStatistic(3);
    series_count := UpdateSingleStatistic(4);
    instances_count := UpdateSingleStatistic(5);
END
$$;

CREATE FUNCTION ComputeStatisticsReadOnly(statistics_key integer, OUT accumulated_value bigint) LANGUAGE plpgsql AS $$
BEGIN
    SELECT g.value + coalesce((SELECT sum(c.value) FROM GlobalIntegersChanges c WHERE c.key = statistics_key), 0)
      INTO accumulated_value
      FROM GlobalIntegers g WHERE g.key = statistics_key;
END
$$;

-- Child counts -------------------------------------------------------------------------------------------------------

CREATE FUNCTION UpdateChildCount() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO InvalidChildCounts (id)
        SELECT DISTINCT parentId FROM changed WHERE parentId IS NOT NULL;
    ELSIF EXISTS (SELECT FROM changed WHERE parentId IS NOT NULL) THEN
        BEGIN
            INSERT INTO InvalidChildCounts (id)
            SELECT DISTINCT c.parentId FROM changed c JOIN Resources r ON r.internalId = c.parentId;
        EXCEPTION WHEN foreign_key_violation THEN
            NULL; -- the parent went too, in another session
        END;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION UpdateInvalidChildCounts(OUT updated_rows_count bigint) LANGUAGE plpgsql AS $$
-- Recounts the children of the resources listed in InvalidChildCounts, leaving those that another session holds.
-- The list is emptied before counting: what is listed later than this is counted again later.
DECLARE
    locked bigint[];
BEGIN
    SELECT array_agg(r.internalId) INTO locked
      FROM (SELECT internalId FROM Resources
             WHERE internalId IN (SELECT i.id FROM InvalidChildCounts i)
             ORDER BY internalId FOR UPDATE SKIP LOCKED) AS r;
    DELETE FROM InvalidChildCounts WHERE id = ANY (locked);
    UPDATE Resources AS r
       SET childCount = (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId)
     WHERE r.internalId = ANY (locked);
    GET DIAGNOSTICS updated_rows_count = ROW_COUNT;
END
$$;

CREATE FUNCTION ComputeMissingChildCount(batch_size bigint, OUT updated_rows_count bigint) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE Resources AS r
       SET childCount = (SELECT count(*) FROM Resources AS c WHERE c.parentId = r.internalId)
     WHERE r.internalId IN (SELECT m.internalId FROM Resources AS m
                             WHERE m.resourceType < 3 AND m.childCount IS NULL
                             LIMIT batch_size FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS updated_rows_count = ROW_COUNT;
END
$$;

-- Changes ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION LockChangesFunc() RETURNS trigger LANGUAGE plpgsql AS $$
-- Before the first number is drawn: from here to commit nobody else draws one, so that the order of the numbers is
-- the order of the commits and a reader of "since" can miss nothing. Real Orthanc nodes pass here too.
BEGIN
    PERFORM 1 FROM GlobalIntegers WHERE key = 6 FOR NO KEY UPDATE;
    RETURN NULL;
END
$$;

CREATE FUNCTION InsertedChangeFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE GlobalIntegers AS g SET value = greatest(g.value, s.last)
      FROM (SELECT max(seq) AS last FROM changed) AS s
     WHERE g.key = 6 AND s.last IS NOT NULL;
    RETURN NULL;
END
$$;

-- Deletion -----------------------------------------------------------------------------------------------------------

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
        compressedHash varchar(40),
        revision integer,
        customData bytea
    );
    DELETE FROM DeletedFiles;
END
$$;

CREATE FUNCTION AttachedFileDeletedFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM changed) THEN
        INSERT INTO DeletedFiles (uuid, fileType, compressedSize, uncompressedSize, compressionType,
                                  uncompressedHash, compressedHash, revision, customData)
        SELECT uuid, fileType, compressedSize, uncompressedSize, compressionType,
               uncompressedHash, compressedHash, revision, customData
          FROM changed;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION DeleteResource(
    id bigint, OUT remaining_ancestor_resource_type integer, OUT remaining_anncestor_public_id text)
    LANGUAGE plpgsql AS $$
-- Deletes a resource, what is below it, and every ancestor that is left without children. Afterwards the session's
-- DeletedFiles and DeletedResources list what went.
-- Locks: the parent, then the resource, FOR UPDATE.
DECLARE
    own_parent bigint;
    ancestor bigint;
    next_ancestor bigint;
    level_ids bigint[];
BEGIN
    PERFORM CreateDeletedFilesTemporaryTable();
    CREATE TEMPORARY TABLE IF NOT EXISTS DeletedResources (
        resourceType integer NOT NULL,
        publicId varchar(64) NOT NULL
    );
    DELETE FROM DeletedResources;

    SELECT r.parentId INTO own_parent FROM Resources r WHERE r.internalId = DeleteResource.id;
    PERFORM 1 FROM Resources r WHERE r.internalId = own_parent FOR UPDATE;
    PERFORM 1 FROM Resources r WHERE r.internalId = DeleteResource.id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE not_null_violation USING MESSAGE = format('resource %s does not exist', DeleteResource.id);
    END IF;

    -- Deepest level first: the foreign key does not cascade.
    FOR depth IN REVERSE 3..0 LOOP
        level_ids := ARRAY[DeleteResource.id];
        FOR step IN 1..depth LOOP
            level_ids := ARRAY(SELECT r.internalId FROM Resources r WHERE r.parentId = ANY (level_ids));
        END LOOP;
        WITH gone AS (
            DELETE FROM Resources r WHERE r.internalId = ANY (level_ids) RETURNING r.resourceType, r.publicId
        )
        INSERT INTO DeletedResources (resourceType, publicId) SELECT g.resourceType, g.publicId FROM gone g;
    END LOOP;

    SELECT r.resourceType, r.publicId INTO remaining_ancestor_resource_type, remaining_anncestor_public_id
      FROM Resources r
     WHERE r.internalId = own_parent AND EXISTS (SELECT FROM Resources c WHERE c.parentId = own_parent);

    ancestor := own_parent;
    WHILE ancestor IS NOT NULL LOOP
        SELECT r.parentId INTO next_ancestor FROM Resources r WHERE r.internalId = ancestor;
        WITH gone AS (
            DELETE FROM Resources r
             WHERE r.internalId = ancestor AND NOT EXISTS (SELECT FROM Resources c WHERE c.parentId = ancestor)
            RETURNING r.resourceType, r.publicId
        )
        INSERT INTO DeletedResources (resourceType, publicId) SELECT g.resourceType, g.publicId FROM gone g;
        EXIT WHEN NOT FOUND;
        ancestor := next_ancestor;
    END LOOP;
END
$$;

CREATE FUNCTION DeleteAttachment(resource_id bigint, file_type integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM CreateDeletedFilesTemporaryTable();
    DELETE FROM AttachedFiles a WHERE a.id = resource_id AND a.fileType = file_type;
END
$$;

-- Resources and metadata ---------------------------------------------------------------------------------------------

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

CREATE FUNCTION PatientAddedOrUpdated(patient_id bigint) RETURNS void LANGUAGE plpgsql AS $$
-- Moves a patient to the end of the recycling queue (metadata 19).
BEGIN
    INSERT INTO Metadata (id, type, value, revision)
    VALUES (patient_id, 19, nextval('PatientRecyclingOrderSequence')::text, 0)
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = 0;
END
$$;

CREATE FUNCTION ProtectPatient(patient_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO Metadata (id, type, value, revision) VALUES (patient_id, 18, 'true', 0)
    ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = 0;
END
$$;

CREATE FUNCTION UnprotectPatient(patient_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM Metadata m WHERE m.id = patient_id AND m.type = 18;
    PERFORM PatientAddedOrUpdated(patient_id);
END
$$;

CREATE FUNCTION CreateInstance(
    patient_public_id text, study_public_id text, series_public_id text, instance_public_id text,
    OUT is_new_patient bigint, OUT is_new_study bigint, OUT is_new_series bigint, OUT is_new_instance bigint,
    OUT patient_internal_id bigint, OUT study_internal_id bigint,
    OUT series_internal_id bigint, OUT instance_internal_id bigint) LANGUAGE plpgsql AS $$
-- One instance with its ancestors, for Orthanc's plugins; our own nodes use cluster.store_instances.
DECLARE
    public_ids text[] := ARRAY[patient_public_id, study_public_id, series_public_id, instance_public_id];
    internal_ids bigint[] := ARRAY[NULL, NULL, NULL, NULL]::bigint[];
    is_new bigint[] := ARRAY[0, 0, 0, 0]::bigint[];
    first_level integer := 0;
    found_id bigint;
BEGIN
    SELECT se.internalId, st.internalId, st.parentId INTO series_internal_id, study_internal_id, patient_internal_id
      FROM Resources se JOIN Resources st ON st.internalId = se.parentId
     WHERE se.publicId = series_public_id AND se.resourceType = 2;
    IF FOUND THEN
        internal_ids := ARRAY[patient_internal_id, study_internal_id, series_internal_id, NULL];
        first_level := 3;
    END IF;

    FOR level IN first_level..3 LOOP
        INSERT INTO Resources (resourceType, publicId, parentId, childCount)
        VALUES (level, public_ids[level + 1], CASE WHEN level > 0 THEN internal_ids[level] END, 0)
        ON CONFLICT (publicId) DO NOTHING
        RETURNING internalId INTO found_id;
        IF FOUND THEN
            is_new[level + 1] := 1;
        ELSE
            SELECT r.internalId INTO found_id
              FROM Resources r WHERE r.publicId = public_ids[level + 1] AND r.resourceType = level;
        END IF;
        internal_ids[level + 1] := found_id;
    END LOOP;

    IF is_new[4] = 1 THEN
        PERFORM PatientAddedOrUpdated(internal_ids[1]);
    END IF;
    is_new_patient := is_new[1];
    is_new_study := is_new[2];
    is_new_series := is_new[3];
    is_new_instance := is_new[4];
    patient_internal_id := internal_ids[1];
    study_internal_id := internal_ids[2];
    series_internal_id := internal_ids[3];
    instance_internal_id := internal_ids[4];
END
$$;

-- Triggers -----------------------------------------------------------------------------------------------------------

CREATE TRIGGER AttachedFileDeleted AFTER DELETE ON AttachedFiles
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION AttachedFileDeletedFunc();
CREATE TRIGGER AttachedFileIncrementSize AFTER INSERT ON AttachedFiles
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION AttachedFileIncrementSizeFunc();
CREATE TRIGGER AttachedFileDecrementSize AFTER DELETE ON AttachedFiles
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION AttachedFileDecrementSizeFunc();
CREATE TRIGGER IncrementResourcesTracker AFTER INSERT ON Resources
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION IncrementResourcesTrackerFunc();
CREATE TRIGGER DecrementResourcesTracker AFTER DELETE ON Resources
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION DecrementResourcesTrackerFunc();
CREATE TRIGGER IncrementChildCount AFTER INSERT ON Resources
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION UpdateChildCount();
CREATE TRIGGER DecrementChildCount AFTER DELETE ON Resources
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION UpdateChildCount();
CREATE TRIGGER LockChanges BEFORE INSERT ON Changes
    FOR EACH STATEMENT EXECUTE FUNCTION LockChangesFunc();
CREATE TRIGGER InsertedChange AFTER INSERT ON Changes
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION InsertedChangeFunc();

-- What the database says of itself (interop/schema.md 8, 5) ----------------------------------------------------------

INSERT INTO GlobalIntegers (key, value) SELECT key, 0 FROM generate_series(0, 6) AS key;

INSERT INTO GlobalProperties (property, value)
VALUES (1, '6'), (4, '10'), (6, '1'), (10, '1'), (11, '3'), (12, '1'), (13, '1'), (14, '1');
