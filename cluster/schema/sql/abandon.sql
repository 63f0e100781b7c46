-- indexes --
-- Purpose: which indexes of these names are there and are not the older revision's: what a constraint needs is, and so
-- are the one for substring searches, which plugins of every revision make, and an index of children that has no older
-- one beside it (Orthanc's own way from 3 to 2 leaves it so). INVALID ones are nobody's.
-- Locks: none.
SELECT c.relname::text
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relname = ANY (%(names)s)
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u'))
   AND (NOT i.indisvalid
        OR c.relname <> 'dicomidentifiersindexvalues2'
           AND (c.relname <> 'childrenindex2' OR to_regclass(quote_ident(%(schema)s) || '.childrenindex') IS NOT NULL))
 ORDER BY c.relname

-- foreign_key --
-- Purpose: whether the second foreign key of Resources is there.
-- Locks: none.
SELECT EXISTS (SELECT FROM pg_constraint
                WHERE conname = 'resources_parentid_fkey_next'
                  AND conrelid = to_regclass(quote_ident(%(schema)s) || '.resources'))

-- patients --
-- Purpose: whether our list of patients is there.
-- Locks: none.
SELECT to_regclass('cluster.patients_before') IS NOT NULL

-- drop_foreign_key --
-- Purpose: the older revision has the other one only.
-- Locks: ACCESS EXCLUSIVE on Resources, a moment.
ALTER TABLE Resources DROP CONSTRAINT IF EXISTS resources_parentid_fkey_next
