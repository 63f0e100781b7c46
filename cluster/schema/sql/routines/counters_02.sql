-- Statistics as differences that housekeeping folds (interop/schema.md 5, 6); revision 2 and later.

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

CREATE TRIGGER AttachedFileIncrementSize AFTER INSERT ON AttachedFiles
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION AttachedFileIncrementSizeFunc();
CREATE TRIGGER AttachedFileDecrementSize AFTER DELETE ON AttachedFiles
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION AttachedFileDecrementSizeFunc();
CREATE TRIGGER IncrementResourcesTracker AFTER INSERT ON Resources
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION IncrementResourcesTrackerFunc();
CREATE TRIGGER DecrementResourcesTracker AFTER DELETE ON Resources
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION DecrementResourcesTrackerFunc();
