-- sizes --
-- Bytes of each table and each index of the schema, with their TOAST.
SELECT c.relname, pg_total_relation_size(c.oid) - pg_indexes_size(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public' AND c.relkind = 'r'
UNION ALL
SELECT c.relname, pg_relation_size(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public' AND c.relkind = 'i'

-- checkpoint --
-- So that the first change of a page after it is in the log as a whole, as it is in a running archive.
CHECKPOINT
