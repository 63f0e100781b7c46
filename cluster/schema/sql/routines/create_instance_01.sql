-- One instance with its ancestors; revision 1, where nothing but serialisable transactions keeps public ids unique.

CREATE FUNCTION CreateInstance(
    patient text, study text, series text, instance text,
    OUT isNewPatient bigint, OUT isNewStudy bigint, OUT isNewSeries bigint, OUT isNewInstance bigint,
    OUT patientKey bigint, OUT studyKey bigint, OUT seriesKey bigint, OUT instanceKey bigint) LANGUAGE plpgsql AS $$
DECLARE
    public_ids text[] := ARRAY[patient, study, series, instance];
    internal_ids bigint[] := ARRAY[NULL, NULL, NULL, NULL]::bigint[];
    is_new bigint[] := ARRAY[0, 0, 0, 1]::bigint[];
    found_id bigint;
    listed_at bigint;
BEGIN
    SELECT r.internalId INTO instanceKey FROM Resources r WHERE r.publicId = instance AND r.resourceType = 3;
    IF FOUND THEN
        isNewInstance := 0; -- the other six stay NULL
        RETURN;
    END IF;

    FOR level IN 0..3 LOOP
        SELECT r.internalId INTO found_id
          FROM Resources r WHERE r.publicId = public_ids[level + 1] AND r.resourceType = level;
        IF FOUND AND level > 0 AND is_new[level] = 1 THEN
            RAISE EXCEPTION 'Broken invariant'; -- below a parent that was created just now
        ELSIF NOT FOUND THEN
            INSERT INTO Resources (resourceType, publicId, parentId)
            VALUES (level, public_ids[level + 1], CASE WHEN level > 0 THEN internal_ids[level] END)
            RETURNING internalId INTO found_id;
            is_new[level + 1] := 1;
        END IF;
        internal_ids[level + 1] := found_id;
    END LOOP;

    SELECT p.seq INTO listed_at FROM PatientRecyclingOrder p WHERE p.patientId = internal_ids[1];
    IF FOUND AND listed_at < (SELECT max(p.seq) FROM PatientRecyclingOrder p) THEN
        DELETE FROM PatientRecyclingOrder p WHERE p.patientId = internal_ids[1];
        INSERT INTO PatientRecyclingOrder (patientId) VALUES (internal_ids[1]);
    END IF;

    isNewPatient := is_new[1];
    isNewStudy := is_new[2];
    isNewSeries := is_new[3];
    isNewInstance := is_new[4];
    patientKey := internal_ids[1];
    studyKey := internal_ids[2];
    seriesKey := internal_ids[3];
    instanceKey := internal_ids[4];
END
$$;
