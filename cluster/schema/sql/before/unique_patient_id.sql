-- A patient once in the recycling order from revision 2 on; the switch makes the constraint out of this index.
-- Locks: SHARE UPDATE EXCLUSIVE on PatientRecyclingOrder, which no writer notices.
CREATE UNIQUE INDEX CONCURRENTLY uniquepatientid ON PatientRecyclingOrder (patientId)
