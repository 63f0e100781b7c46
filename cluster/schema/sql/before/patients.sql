-- Who the patients are, so that the switch finds the protected ones, who are not in the recycling order, without
-- looking at every patient.
-- Locks: none but of our own table.
DROP TABLE IF EXISTS cluster.patients_before;
CREATE TABLE cluster.patients_before AS SELECT r.internalId AS patient_id FROM Resources r WHERE r.resourceType = 0;
ANALYZE cluster.patients_before
