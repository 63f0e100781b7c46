-- 5 → 6: a patient that is not in the recycling order is protected. All patients were looked at before the switch
-- (before/patients.sql), one random page each; here only who left the order since, or came since. The sum is checked,
-- and where it does not come out all are looked at again.
--
-- Locks: none but those of new rows.

DO $$
DECLARE
    patients bigint;
    listed bigint;
    found bigint;
BEGIN
    INSERT INTO Metadata (id, type, value, revision)
    SELECT r.internalId, 18, 'true', 0
      FROM (SELECT b.patient_id FROM cluster.patients_before b
             WHERE NOT EXISTS (SELECT FROM PatientRecyclingOrder p WHERE p.patientId = b.patient_id)
            UNION
            SELECT n.internalId FROM Resources n
             WHERE n.internalId > (SELECT coalesce(max(b.patient_id), 0) FROM cluster.patients_before b)
               AND n.resourceType = 0
               AND NOT EXISTS (SELECT FROM PatientRecyclingOrder p WHERE p.patientId = n.internalId)) AS c (patient_id)
      JOIN Resources r ON r.internalId = c.patient_id
        ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;
    GET DIAGNOSTICS found = ROW_COUNT;

    SELECT count(*) INTO patients FROM Resources r WHERE r.resourceType = 0;
    SELECT count(DISTINCT p.patientId) INTO listed FROM PatientRecyclingOrder p;
    IF patients <> listed + found THEN
        INSERT INTO Metadata (id, type, value, revision)
        SELECT r.internalId, 18, 'true', 0
          FROM Resources r
         WHERE r.resourceType = 0
           AND NOT EXISTS (SELECT FROM PatientRecyclingOrder p WHERE p.patientId = r.internalId)
            ON CONFLICT (id, type) DO UPDATE SET value = EXCLUDED.value, revision = EXCLUDED.revision;
    END IF;
    DROP TABLE cluster.patients_before;
END
$$;
