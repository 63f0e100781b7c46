-- An index as the plugin 5.1 leaves it on an empty schema, written from interop/schema.md alone and by no step of ours:
-- where upgrades start from, and what downgrades have to end at. Triggers are row-level, as the plugin's are.

create table GlobalProperties (property integer primary key, value text);
create table ServerProperties (server varchar(64) not null, property integer, value text, primary key (server, property));
create table GlobalIntegers (key integer primary key, value bigint);
create table Resources (
    internalId bigserial not null primary key,
    resourceType integer not null,
    publicId varchar(64) not null,
    parentId bigint references Resources (internalId) on delete cascade
);
create table MainDicomTags (
    id bigint references Resources (internalId) on delete cascade,
    tagGroup integer, tagElement integer, value text, primary key (id, tagGroup, tagElement)
);
create table DicomIdentifiers (
    id bigint references Resources (internalId) on delete cascade,
    tagGroup integer, tagElement integer, value text, primary key (id, tagGroup, tagElement)
);
create table Metadata (
    id bigint references Resources (internalId) on delete cascade,
    type integer not null, value text, revision integer, primary key (id, type)
);
create table AttachedFiles (
    id bigint references Resources (internalId) on delete cascade,
    fileType integer, uuid varchar(64) not null, compressedSize bigint, uncompressedSize bigint,
    compressionType integer, uncompressedHash varchar(40), compressedHash varchar(40), revision integer,
    primary key (id, fileType)
);
create table Labels (
    id bigint references Resources (internalId) on delete cascade, label text, primary key (id, label)
);
create table Changes (
    seq bigserial not null primary key, changeType integer,
    internalId bigint references Resources (internalId) on delete cascade, resourceType integer, date varchar(64)
);
create table ExportedResources (
    seq bigserial not null primary key, resourceType integer, publicId varchar(64), remoteModality text,
    patientId varchar(64), studyInstanceUid text, seriesInstanceUid text, sopInstanceUid text, date varchar(64)
);
create table PatientRecyclingOrder (
    seq bigserial not null primary key, patientId bigint references Resources (internalId) on delete cascade
);
create table DeletedFiles (
    uuid varchar(64) not null, fileType integer, compressedSize bigint, uncompressedSize bigint,
    compressionType integer, uncompressedHash varchar(40), compressedHash varchar(40)
);
create table RemainingAncestor (resourceType integer not null, publicId varchar(64) not null);
create table DeletedResources (resourceType integer not null, publicId varchar(64) not null);

create index ChildrenIndex on Resources (parentId);
create index PublicIndex on Resources (publicId);
create index ResourceTypeIndex on Resources (resourceType);
create index PatientRecyclingIndex on PatientRecyclingOrder (patientId);
create index MainDicomTagsIndex on MainDicomTags (id);
create index DicomIdentifiersIndex1 on DicomIdentifiers (id);
create index DicomIdentifiersIndex2 on DicomIdentifiers (tagGroup, tagElement);
create index DicomIdentifiersIndexValues on DicomIdentifiers (value);
create index ChangesIndex on Changes (internalId);
create index LabelsIndex1 on Labels (id);
create index LabelsIndex2 on Labels (label);
create extension if not exists pg_trgm schema public;
create index DicomIdentifiersIndexValues2 on DicomIdentifiers using gin (value public.gin_trgm_ops);

create function AttachedFileDeletedFunc() returns trigger as $body$
begin
    insert into DeletedFiles values (old.uuid, old.fileType, old.compressedSize, old.uncompressedSize,
                                     old.compressionType, old.uncompressedHash, old.compressedHash);
    return null;
end;
$body$ language plpgsql;
create trigger AttachedFileDeleted after delete on AttachedFiles
    for each row execute procedure AttachedFileDeletedFunc();

create function AttachedFileIncrementSizeFunc() returns trigger as $body$
begin
    update GlobalIntegers set value = value + new.compressedSize where key = 0;
    update GlobalIntegers set value = value + new.uncompressedSize where key = 1;
    return null;
end;
$body$ language plpgsql;
create trigger AttachedFileIncrementSize after insert on AttachedFiles
    for each row execute procedure AttachedFileIncrementSizeFunc();

create function AttachedFileDecrementSizeFunc() returns trigger as $body$
begin
    update GlobalIntegers set value = value - old.compressedSize where key = 0;
    update GlobalIntegers set value = value - old.uncompressedSize where key = 1;
    return null;
end;
$body$ language plpgsql;
create trigger AttachedFileDecrementSize after delete on AttachedFiles
    for each row execute procedure AttachedFileDecrementSizeFunc();

create function CountResourcesTrackerFunc() returns trigger as $body$
begin
    if tg_op = 'DELETE' then
        update GlobalIntegers set value = value - 1 where key = old.resourceType + 2;
    else
        update GlobalIntegers set value = value + 1 where key = new.resourceType + 2;
    end if;
    return null;
end;
$body$ language plpgsql;
create trigger CountResourcesTracker after insert or delete on Resources
    for each row execute procedure CountResourcesTrackerFunc();

create function InsertedChangeFunc() returns trigger as $body$
begin
    update GlobalIntegers set value = new.seq where key = 6;
    return null;
end;
$body$ language plpgsql;
create trigger InsertedChange after insert on Changes for each row execute procedure InsertedChangeFunc();

create function PatientAddedFunc() returns trigger as $body$
begin
    if new.resourceType = 0 then
        insert into PatientRecyclingOrder values (default, new.internalId);
    end if;
    return null;
end;
$body$ language plpgsql;
create trigger PatientAdded after insert on Resources for each row execute procedure PatientAddedFunc();

create function ResourceDeletedFunc() returns trigger as $body$
begin
    insert into DeletedResources values (old.resourceType, old.publicId);
    if exists (select 1 from Resources where parentId = old.parentId) then
        insert into RemainingAncestor
            select resourceType, publicId from Resources where internalId = old.parentId;
    else
        delete from Resources where internalId = old.parentId;
    end if;
    return null;
end;
$body$ language plpgsql;
create trigger ResourceDeleted after delete on Resources for each row execute procedure ResourceDeletedFunc();

create function CreateInstance(
    in patient text, in study text, in series text, in instance text,
    out isNewPatient bigint, out isNewStudy bigint, out isNewSeries bigint, out isNewInstance bigint,
    out patientKey bigint, out studyKey bigint, out seriesKey bigint, out instanceKey bigint) as $body$
begin
    isNewPatient := 0; isNewStudy := 0; isNewSeries := 0; isNewInstance := 1;
    select internalId into patientKey from Resources where publicId = patient and resourceType = 0;
    if patientKey is null then
        isNewPatient := 1;
        insert into Resources values (default, 0, patient, null) returning internalId into patientKey;
    end if;
    select internalId into studyKey from Resources where publicId = study and resourceType = 1;
    if studyKey is null then
        isNewStudy := 1;
        insert into Resources values (default, 1, study, patientKey) returning internalId into studyKey;
    end if;
    select internalId into seriesKey from Resources where publicId = series and resourceType = 2;
    if seriesKey is null then
        isNewSeries := 1;
        insert into Resources values (default, 2, series, studyKey) returning internalId into seriesKey;
    end if;
    insert into Resources values (default, 3, instance, seriesKey) returning internalId into instanceKey;
    delete from PatientRecyclingOrder where patientId = patientKey;
    if found then
        insert into PatientRecyclingOrder values (default, patientKey);
    end if;
end;
$body$ language plpgsql;

insert into GlobalIntegers values (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0);
insert into GlobalProperties values (1, '6'), (4, '1'), (6, '1'), (10, '1'), (11, '2'), (12, '1'), (13, '1');
