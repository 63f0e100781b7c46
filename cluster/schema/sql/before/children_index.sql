-- Children of a resource without looking into the table, from revision 3 on.
-- Locks: SHARE UPDATE EXCLUSIVE on Resources, which no writer notices.
CREATE INDEX CONCURRENTLY ChildrenIndex2 ON Resources (parentId) INCLUDE (publicId, internalId)
