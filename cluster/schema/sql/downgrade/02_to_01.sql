-- 2 → 1: statistics kept directly, permanent tables of what was deleted (interop/schema.md 13).
-- Pending differences are folded first, so no total is lost.
--
-- Locks: ACCESS EXCLUSIVE on Resources and PatientRecyclingOrder; nothing is scanned.

UPDATE GlobalIntegers AS g
   SET value = g.value + s.pending
  FROM (SELECT c.key, sum(c.value) AS pending FROM GlobalIntegersChanges c GROUP BY c.key) AS s
 WHERE g.key = s.key;
DROP TABLE GlobalIntegersChanges;

ALTER TABLE Resources DROP CONSTRAINT IF EXISTS uniquepublicid;
ALTER TABLE PatientRecyclingOrder DROP CONSTRAINT IF EXISTS uniquepatientid;

-- Qualified: a session's temporary table has the same name.
DO $$
BEGIN
    EXECUTE format(
        'CREATE TABLE %I.DeletedFiles (uuid varchar(64) NOT NULL, fileType integer,'
        ' compressedSize bigint, uncompressedSize bigint, compressionType integer,'
        ' uncompressedHash varchar(40), compressedHash varchar(40))', current_schema());
    EXECUTE format(
        'CREATE TABLE %I.RemainingAncestor (resourceType integer NOT NULL, publicId varchar(64) NOT NULL)',
        current_schema());
    EXECUTE format(
        'CREATE TABLE %I.DeletedResources (resourceType integer NOT NULL, publicId varchar(64) NOT NULL)',
        current_schema());
END
$$;

-- Revision 1 numbers the recycling order by the table's own sequence again.
SELECT setval(pg_get_serial_sequence('PatientRecyclingOrder', 'seq'), g.value)
  FROM GlobalIntegers g WHERE g.key = 7 AND g.value > 0;
DELETE FROM GlobalIntegers WHERE key = 7;

DELETE FROM GlobalProperties WHERE property IN (4, 11);
INSERT INTO GlobalProperties (property, value) VALUES (4, '1'), (11, '2');
