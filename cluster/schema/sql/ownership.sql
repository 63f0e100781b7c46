-- not_owned --
-- Purpose: what of the index, and of our own PostgreSQL schema, belongs to roles whose rights the current role has not:
-- it is none of them and inherits from none. Sequences of columns belong to whom their tables belong.
-- Locks: none.
SELECT pg_get_userbyid(o.owner)::text, o.kind, o.name
  FROM (SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, c.oid::regclass::text AS name,
               c.relowner AS owner
          FROM pg_class c
         WHERE c.relkind IN ('r', 'p', 'S')
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i'))
           AND (c.relnamespace = to_regnamespace('cluster')
                OR c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relname = ANY (ARRAY[
                   'resources', 'globalproperties', 'serverproperties', 'globalintegers', 'globalintegerschanges',
                   'maindicomtags', 'dicomidentifiers', 'metadata', 'attachedfiles', 'labels', 'changes',
                   'exportedresources', 'patientrecyclingorder', 'patientrecyclingordersequence', 'deletedfiles',
                   'remainingancestor', 'deletedresources', 'invalidchildcounts', 'keyvaluestores', 'queues',
                   'auditlogs']))
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text, p.proowner
          FROM pg_proc p
         WHERE p.pronamespace = to_regnamespace('cluster')
            OR p.pronamespace = to_regnamespace(quote_ident(%(schema)s)) AND p.proname = ANY (ARRAY[
               'attachedfiledeletedfunc', 'attachedfileincrementsizefunc', 'attachedfiledecrementsizefunc',
               'countresourcestrackerfunc', 'incrementresourcestrackerfunc', 'decrementresourcestrackerfunc',
               'insertedchangefunc', 'lockchangesfunc', 'patientaddedfunc', 'resourcedeletedfunc', 'updatechildcount',
               'createinstance', 'patientaddedorupdated', 'deleteresource', 'createdeletedfilestemporarytable',
               'deleteattachment', 'insertorupdatemetadata', 'updatesinglestatistic', 'updatestatistics',
               'computestatisticsreadonly', 'computemissingchildcount', 'updateinvalidchildcounts',
               'protectpatient', 'unprotectpatient'])) AS o
 WHERE NOT pg_has_role(o.owner, 'USAGE')
 ORDER BY 1, o.kind = 'function', o.kind DESC, 3

-- rights --
-- Purpose: who we are, and whether we may make new tables and functions beside the old ones.
-- Locks: none.
SELECT current_user::text, has_schema_privilege(to_regnamespace(quote_ident(%(schema)s)), 'CREATE')
