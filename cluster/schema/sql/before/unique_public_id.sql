-- Public ids unique from revision 2 on; the switch makes the constraint out of this index.
-- Locks: SHARE UPDATE EXCLUSIVE on Resources, which no writer notices.
CREATE UNIQUE INDEX CONCURRENTLY uniquepublicid ON Resources (publicId)
