-- 1 → 2: public ids unique, statistics by differences, deletions recorded in temporary tables (interop/schema.md 12).
--
-- Locks: ACCESS EXCLUSIVE on Resources and PatientRecyclingOrder while a unique index of each is built, unless it was
-- built CONCURRENTLY beforehand.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conname = 'uniquepublicid' AND conrelid = 'Resources'::regclass) THEN
        IF to_regclass('uniquepublicid') IS NULL THEN
            ALTER TABLE Resources ADD CONSTRAINT uniquepublicid UNIQUE (publicId);
        ELSE
            ALTER TABLE Resources ADD CONSTRAINT uniquepublicid UNIQUE USING INDEX uniquepublicid;
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conname = 'uniquepatientid' AND conrelid = 'PatientRecyclingOrder'::regclass) THEN
        IF to_regclass('uniquepatientid') IS NULL THEN
            ALTER TABLE PatientRecyclingOrder ADD CONSTRAINT uniquepatientid UNIQUE (patientId);
        ELSE
            ALTER TABLE PatientRecyclingOrder ADD CONSTRAINT uniquepatientid UNIQUE USING INDEX uniquepatientid;
        END IF;
    END IF;
    -- Qualified: a session's temporary table has the same name.
    EXECUTE format('DROP TABLE IF EXISTS %1$I.DeletedFiles, %1$I.RemainingAncestor, %1$I.DeletedResources',
                   current_schema());
END
$$;

CREATE TABLE IF NOT EXISTS GlobalIntegersChanges (
    key integer,
    value bigint
);

INSERT INTO GlobalIntegers (key, value) SELECT 7, coalesce(max(seq), 0) FROM PatientRecyclingOrder
    ON CONFLICT (key) DO UPDATE SET value = greatest(GlobalIntegers.value, EXCLUDED.value);

DELETE FROM GlobalProperties WHERE property IN (4, 6, 10, 11, 12, 13);
INSERT INTO GlobalProperties (property, value) VALUES (4, '2'), (6, '1'), (10, '1'), (11, '3'), (12, '1'), (13, '1');
