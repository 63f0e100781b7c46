-- Protection (metadata 18) and recycling order (metadata 19); revision 6 and later.

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
