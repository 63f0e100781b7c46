-- Recycling order numbered by GlobalIntegers 7; a protected patient is not listed. Revision 2.

CREATE FUNCTION PatientAddedOrUpdated(patient_id bigint, is_update bigint) RETURNS void LANGUAGE plpgsql AS $$
-- Locks: GlobalIntegers row 7 until commit.
DECLARE
    next_seq bigint;
BEGIN
    UPDATE GlobalIntegers SET value = value + 1 WHERE key = 7 RETURNING value INTO next_seq;
    IF is_update > 0 THEN
        UPDATE PatientRecyclingOrder SET seq = next_seq WHERE patientId = patient_id;
    ELSE
        INSERT INTO PatientRecyclingOrder (seq, patientId) VALUES (next_seq, patient_id);
    END IF;
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
