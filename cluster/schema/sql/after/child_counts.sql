-- end --
-- Purpose: the last resource that may lack a count: later ones got theirs when they were created.
-- Locks: none.
SELECT coalesce(max(internalId), 0) FROM Resources

-- read --
-- Purpose: the resources of a window whose children nobody has counted yet, with the number of their children. The
-- rank is their place among those of the same heap page. What is written later than this snapshot is safe: a child that
-- comes or goes has its parent in InvalidChildCounts, by the triggers of revision 4.
-- Locks: none.
SELECT p.internalId, coalesce(k.number, 0), row_number() OVER (PARTITION BY p.page ORDER BY p.internalId)
  FROM (SELECT internalId, (ctid::text::point)[0]::bigint AS page
          FROM Resources
         WHERE internalId > %(after)s AND internalId <= %(upto)s AND resourceType < 3 AND childCount IS NULL) AS p
  LEFT JOIN (SELECT parentId, count(*)::integer AS number
               FROM Resources WHERE parentId > %(after)s AND parentId <= %(upto)s GROUP BY parentId) AS k
    ON k.parentId = p.internalId

-- write --
-- Purpose: counts of one rank, so at most one row of each heap page. The pages of an old archive are
-- full: the first update moves a row away, with new entries in all indexes; after its commit the page has room again and
-- the next ones stay in it (heap-only tuples). All at once write three times the WAL. A count that somebody else has
-- written since stays.
-- Locks: those rows, as an update of no key takes them: who adds a child does not wait.
UPDATE Resources AS r SET childCount = v.number
  FROM unnest(%(ids)s::bigint[], %(numbers)s::integer[]) AS v (id, number)
 WHERE r.internalId = v.id AND r.childCount IS NULL
