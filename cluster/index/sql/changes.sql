-- changes_since --
-- The first changes behind `since`; one row without a change if there is none. The first column is the sequence number
-- of the last change of all, in the same snapshot: whatever is committed later has a higher number.
-- Locks: none that a writer would notice.
WITH page AS (
    SELECT c.seq, c.changeType, c.resourceType, c.date, c.internalId
      FROM Changes c
     WHERE c.seq > %(since)s
       AND (%(to)s::bigint IS NULL OR c.seq <= %(to)s::bigint)
       AND (%(types)s::integer[] IS NULL OR c.changeType = ANY (%(types)s::integer[]))
     ORDER BY c.seq
     LIMIT %(limit)s
)
SELECT g.value, page.seq, page.changeType, page.resourceType, r.publicId, page.date
  FROM GlobalIntegers g
  LEFT JOIN page ON true
  LEFT JOIN Resources r ON r.internalId = page.internalId
 WHERE g.key = 6
 ORDER BY page.seq

-- changes_until --
-- The last changes up to `to`, or of all, in ascending order; otherwise as changes_since.
-- Locks: none that a writer would notice.
WITH page AS (
    SELECT c.seq, c.changeType, c.resourceType, c.date, c.internalId
      FROM Changes c
     WHERE (%(to)s::bigint IS NULL OR c.seq <= %(to)s::bigint)
       AND (%(types)s::integer[] IS NULL OR c.changeType = ANY (%(types)s::integer[]))
     ORDER BY c.seq DESC
     LIMIT %(limit)s
)
SELECT g.value, page.seq, page.changeType, page.resourceType, r.publicId, page.date
  FROM GlobalIntegers g
  LEFT JOIN page ON true
  LEFT JOIN Resources r ON r.internalId = page.internalId
 WHERE g.key = 6
 ORDER BY page.seq

-- delete_changes --
-- Deletes the oldest changes, some at a time, up to `upto`. GlobalIntegers keeps the last number, so nothing goes backwards.
-- Locks: the rows that go, until commit.
DELETE FROM Changes
 WHERE seq = ANY (ARRAY(SELECT c.seq FROM Changes c WHERE c.seq <= %(upto)s ORDER BY c.seq LIMIT %(limit)s))
