-- Unknown → 1: what the plugins up to 5.0 left out or completed at their start (interop/schema.md 9, 12).
-- Also for databases that say revision 1 and lack the revision columns (plugins up to 3.3).
--
-- Locks: ACCESS EXCLUSIVE on Metadata and AttachedFiles, without rewriting them. Reads AttachedFiles and Resources as
-- a whole if the statistics are missing.

CREATE TABLE IF NOT EXISTS ServerProperties (
    server varchar(64) NOT NULL,
    property integer,
    value text,
    PRIMARY KEY (server, property)
);

CREATE TABLE IF NOT EXISTS Labels (
    id bigint REFERENCES Resources (internalId) ON DELETE CASCADE,
    label text,
    PRIMARY KEY (id, label)
);
CREATE INDEX IF NOT EXISTS LabelsIndex1 ON Labels (id);
CREATE INDEX IF NOT EXISTS LabelsIndex2 ON Labels (label);

ALTER TABLE Metadata ADD COLUMN IF NOT EXISTS revision integer;
ALTER TABLE AttachedFiles ADD COLUMN IF NOT EXISTS revision integer;

-- Qualified: a temporary table of that name would hide a missing one.
DO $$
BEGIN
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I.DeletedFiles (uuid varchar(64) NOT NULL, fileType integer,'
        ' compressedSize bigint, uncompressedSize bigint, compressionType integer,'
        ' uncompressedHash varchar(40), compressedHash varchar(40))', current_schema());
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I.RemainingAncestor (resourceType integer NOT NULL,'
        ' publicId varchar(64) NOT NULL)', current_schema());
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I.DeletedResources (resourceType integer NOT NULL,'
        ' publicId varchar(64) NOT NULL)', current_schema());
END
$$;

CREATE TABLE IF NOT EXISTS GlobalIntegers (
    key integer PRIMARY KEY,
    value bigint
);

-- A key that is missing is computed; what the triggers kept is right already.
DO $$
BEGIN
    IF (SELECT count(*) FROM GlobalIntegers WHERE key BETWEEN 0 AND 1) < 2 THEN
        INSERT INTO GlobalIntegers (key, value)
        SELECT k.key, CASE k.key WHEN 0 THEN s.compressed ELSE s.uncompressed END
          FROM (SELECT coalesce(sum(compressedSize), 0)::bigint AS compressed,
                       coalesce(sum(uncompressedSize), 0)::bigint AS uncompressed FROM AttachedFiles) AS s
         CROSS JOIN (VALUES (0), (1)) AS k (key)
            ON CONFLICT (key) DO NOTHING;
    END IF;
    IF (SELECT count(*) FROM GlobalIntegers WHERE key BETWEEN 2 AND 5) < 4 THEN
        INSERT INTO GlobalIntegers (key, value)
        SELECT level + 2, (SELECT count(*) FROM Resources WHERE resourceType = level) FROM generate_series(0, 3) AS level
            ON CONFLICT (key) DO NOTHING;
    END IF;
END
$$;
INSERT INTO GlobalIntegers (key, value) SELECT 6, coalesce(max(seq), 0) FROM Changes ON CONFLICT (key) DO NOTHING;

DELETE FROM GlobalProperties WHERE property IN (4, 6, 10, 11, 12, 13);
INSERT INTO GlobalProperties (property, value) VALUES (4, '1'), (6, '1'), (10, '1'), (11, '2'), (12, '1'), (13, '1');
