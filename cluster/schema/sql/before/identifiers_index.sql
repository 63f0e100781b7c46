-- Searches by tag and value, from revision 3 on.
-- Locks: SHARE UPDATE EXCLUSIVE on DicomIdentifiers, which no writer notices.
CREATE INDEX CONCURRENTLY DicomIdentifiersIndex3 ON DicomIdentifiers (tagGroup, tagElement, value)
