-- end --
-- Purpose: the last place of the recycling order of revision 5, which the switch has put into our schema.
-- Locks: none.
SELECT coalesce(max(seq), 0) FROM cluster.recycling_order

-- window --
-- Purpose: the last of the next so many places: the numbers have large gaps, one for each instance that ever came.
-- Locks: none.
SELECT max(seq) FROM (SELECT seq FROM cluster.recycling_order WHERE seq > %(after)s ORDER BY seq LIMIT %(size)s) AS s

-- batch --
-- Purpose: the places of some patients become metadata 19. Who got an instance since the switch has a later place
-- already. Places that are too large for Orthanc (32 bits) are numbered anew, in the same order.
-- Locks: KEY SHARE on the patients.
INSERT INTO Metadata (id, type, value, revision)
SELECT r.internalId, 19, o.place::text, 0
  FROM (SELECT p.patientId,
               CASE WHEN %(end)s < 1000000000 THEN p.seq
                    ELSE row_number() OVER (ORDER BY p.seq)
                         + (SELECT count(*) FROM cluster.recycling_order e WHERE e.seq <= %(after)s) END AS place
          FROM cluster.recycling_order p
         WHERE p.seq > %(after)s AND p.seq <= %(upto)s AND p.patientId IS NOT NULL) AS o
  JOIN Resources r ON r.internalId = o.patientId
 ORDER BY r.internalId
   FOR KEY SHARE OF r
    ON CONFLICT (id, type) DO NOTHING

-- finish --
-- Purpose: nobody needs the old table any more.
-- Locks: ACCESS EXCLUSIVE on it alone, as its foreign key went with the switch.
DROP TABLE cluster.recycling_order
