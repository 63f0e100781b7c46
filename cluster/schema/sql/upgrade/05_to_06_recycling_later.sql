-- 5 → 6: the recycling order is put aside, to become metadata 19 while the archive runs (after/recycling_order.sql).
-- Until then a patient without metadata 19 is not recycled; one that gets an instance is placed behind all of them.
--
-- Locks: ACCESS EXCLUSIVE on PatientRecyclingOrder and, for its foreign key, on Resources.

SELECT setval('PatientRecyclingOrderSequence', p.last)
  FROM (SELECT CASE WHEN max(seq) < 1000000000 THEN max(seq) ELSE count(*) END AS last FROM PatientRecyclingOrder) AS p
 WHERE p.last > 0;
-- Without its foreign key it can be dropped later without a lock on Resources.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN SELECT conname FROM pg_constraint WHERE conrelid = 'PatientRecyclingOrder'::regclass AND contype = 'f'
    LOOP
        EXECUTE format('ALTER TABLE PatientRecyclingOrder DROP CONSTRAINT %I', found.conname);
    END LOOP;
END
$$;
ALTER TABLE PatientRecyclingOrder RENAME TO recycling_order;
ALTER TABLE recycling_order SET SCHEMA cluster;
