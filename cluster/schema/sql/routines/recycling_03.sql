-- Recycling order numbered by the table's own sequence; a protected patient is not listed. Revisions 3 to 5.

CREATE FUNCTION PatientAddedOrUpdated(patient_id bigint, is_update bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF is_update > 0 THEN
        DELETE FROM PatientRecyclingOrder WHERE patientId = patient_id;
        IF NOT FOUND THEN
            RETURN; -- protected
        END IF;
    END IF;
    INSERT INTO PatientRecyclingOrder (patientId) VALUES (patient_id);
END
$$;

CREATE FUNCTION PatientAddedFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.resourceType = 0 THEN
        PERFORM PatientAddedOrUpdated(NEW.internalId, 0);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER PatientAdded AFTER INSERT ON Resources FOR EACH ROW EXECUTE FUNCTION PatientAddedFunc();
