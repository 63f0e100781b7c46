-- Patients in the order in which they may be recycled; a protected one is not listed. Revision 1.

CREATE FUNCTION PatientAddedFunc() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.resourceType = 0 THEN
        INSERT INTO PatientRecyclingOrder (patientId) VALUES (NEW.internalId);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER PatientAdded AFTER INSERT ON Resources FOR EACH ROW EXECUTE FUNCTION PatientAddedFunc();
