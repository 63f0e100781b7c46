-- One instance with its ancestors; revision 6 and later.

CREATE FUNCTION CreateInstance(
    patient_public_id text, study_public_id text, series_public_id text, instance_public_id text,
    OUT is_new_patient bigint, OUT is_new_study bigint, OUT is_new_series bigint, OUT is_new_instance bigint,
    OUT patient_internal_id bigint, OUT study_internal_id bigint,
    OUT series_internal_id bigint, OUT instance_internal_id bigint) LANGUAGE plpgsql AS $$
-- One instance with its ancestors, for Orthanc's plugins; our own nodes use cluster.store_instances.
DECLARE
    public_ids text[] := ARRAY[patient_public_id, study_public_id, series_public_id, instance_public_id];
    internal_ids bigint[] := ARRAY[NULL, NULL, NULL, NULL]::bigint[];
    is_new bigint[] := ARRAY[0, 0, 0, 0]::bigint[];
    first_level integer := 0;
    found_id bigint;
BEGIN
    SELECT se.internalId, st.internalId, st.parentId INTO series_internal_id, study_internal_id, patient_internal_id
      FROM Resources se JOIN Resources st ON st.internalId = se.parentId
     WHERE se.publicId = series_public_id AND se.resourceType = 2;
    IF FOUND THEN
        internal_ids := ARRAY[patient_internal_id, study_internal_id, series_internal_id, NULL];
        first_level := 3;
    END IF;

    FOR level IN first_level..3 LOOP
        INSERT INTO Resources (resourceType, publicId, parentId, childCount)
        VALUES (level, public_ids[level + 1], CASE WHEN level > 0 THEN internal_ids[level] END, 0)
        ON CONFLICT (publicId) DO NOTHING
        RETURNING internalId INTO found_id;
        IF FOUND THEN
            is_new[level + 1] := 1;
        ELSE
            SELECT r.internalId INTO found_id
              FROM Resources r WHERE r.publicId = public_ids[level + 1] AND r.resourceType = level;
        END IF;
        internal_ids[level + 1] := found_id;
    END LOOP;

    IF is_new[4] = 1 THEN
        PERFORM PatientAddedOrUpdated(internal_ids[1]);
    END IF;
    is_new_patient := is_new[1];
    is_new_study := is_new[2];
    is_new_series := is_new[3];
    is_new_instance := is_new[4];
    patient_internal_id := internal_ids[1];
    study_internal_id := internal_ids[2];
    series_internal_id := internal_ids[3];
    instance_internal_id := internal_ids[4];
END
$$;
