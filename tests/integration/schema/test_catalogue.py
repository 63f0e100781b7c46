"""The installed schema against the published facts of revision 10 (interop/schema.md 2 to 8), from the catalogue.

Orthanc's plugins insert by position, call functions by name, and check properties: order and spelling are contract.
"""

import psycopg
import pytest

COLUMNS = {
    "globalproperties": "property integer, value text",
    "serverproperties": "server character varying(64), property integer, value text",
    "globalintegers": "key integer, value bigint",
    "globalintegerschanges": "pk bigint, key integer, value bigint",
    "resources": "internalid bigint, resourcetype integer, publicid character varying(64), parentid bigint,"
    " childcount integer",
    "maindicomtags": "id bigint, taggroup integer, tagelement integer, value text",
    "dicomidentifiers": "id bigint, taggroup integer, tagelement integer, value text",
    "metadata": "id bigint, type integer, value text, revision integer",
    "attachedfiles": "id bigint, filetype integer, uuid character varying(64), compressedsize bigint,"
    " uncompressedsize bigint, compressiontype integer, uncompressedhash character varying(40),"
    " compressedhash character varying(40), revision integer, customdata bytea",
    "labels": "id bigint, label text",
    "changes": "seq bigint, changetype integer, internalid bigint, resourcetype integer, date character varying(64)",
    "exportedresources": "seq bigint, resourcetype integer, publicid character varying(64), remotemodality text,"
    " patientid character varying(64), studyinstanceuid text, seriesinstanceuid text, sopinstanceuid text,"
    " date character varying(64)",
    "invalidchildcounts": "pk bigint, id bigint, updatedat timestamp without time zone",
    "keyvaluestores": "storeid text, key text, value bytea",
    "queues": "id bigint, queueid text, value bytea, reserveduntil bigint",
    "auditlogs": "ts timestamp without time zone, sourceplugin text, userid text, resourcetype integer,"
    " resourceid character varying(64), action text, logdata bytea",
}

PRIMARY_KEYS = {
    "globalproperties": "property",
    "serverproperties": "server, property",
    "globalintegers": "key",
    "globalintegerschanges": "pk",
    "resources": "internalid",
    "maindicomtags": "id, taggroup, tagelement",
    "dicomidentifiers": "id, taggroup, tagelement",
    "metadata": "id, type",
    "attachedfiles": "id, filetype",
    "labels": "id, label",
    "changes": "seq",
    "exportedresources": "seq",
    "invalidchildcounts": "pk",
    "keyvaluestores": "storeid, key",
    "queues": "id",
}

INDEXES = {
    "childrenindex2": "(parentid) INCLUDE (publicid, internalid)",
    "publicindex": "(publicid)",
    "resourcetypeindex": "(resourcetype)",
    "maindicomtagsindex": "(id)",
    "dicomidentifiersindex1": "(id)",
    "dicomidentifiersindex2": "(taggroup, tagelement)",
    "dicomidentifiersindexvalues": "(value)",
    "dicomidentifiersindex3": "(taggroup, tagelement, value)",
    "changesindex": "(internalid)",
    "labelsindex1": "(id)",
    "labelsindex2": "(label)",
    "queuesindex": "(queueid, id)",
    "auditlogsuserid": "(userid)",
    "auditlogsresourceid": "(resourceid)",
    "auditlogsaction": "(action)",
    "auditlogssourceplugin": "(sourceplugin)",
    "invalidchildcountsid": "(id)",
}

TRIGGERS = {
    "attachedfiledeleted": ("attachedfiles", "attachedfiledeletedfunc"),
    "attachedfileincrementsize": ("attachedfiles", "attachedfileincrementsizefunc"),
    "attachedfiledecrementsize": ("attachedfiles", "attachedfiledecrementsizefunc"),
    "incrementresourcestracker": ("resources", "incrementresourcestrackerfunc"),
    "decrementresourcestracker": ("resources", "decrementresourcestrackerfunc"),
    "insertedchange": ("changes", "insertedchangefunc"),
    "incrementchildcount": ("resources", "updatechildcount"),
    "decrementchildcount": ("resources", "updatechildcount"),
    # ours: the change lock
    "lockchanges": ("changes", "lockchangesfunc"),
}

FUNCTIONS = {
    "createinstance": "patient_public_id text, study_public_id text, series_public_id text, instance_public_id text,"
    " OUT is_new_patient bigint, OUT is_new_study bigint, OUT is_new_series bigint, OUT is_new_instance bigint,"
    " OUT patient_internal_id bigint, OUT study_internal_id bigint, OUT series_internal_id bigint,"
    " OUT instance_internal_id bigint",
    "patientaddedorupdated": "patient_id bigint",
    "deleteresource": "id bigint, OUT remaining_ancestor_resource_type integer, OUT remaining_anncestor_public_id text",
    "createdeletedfilestemporarytable": "",
    "deleteattachment": "resource_id bigint, file_type integer",
    "insertorupdatemetadata": "resource_ids bigint[], metadata_types integer[], metadata_values text[],"
    " revisions integer[]",
    "updatesinglestatistic": "statistics_key integer, OUT new_value bigint",
    "updatestatistics": "OUT patients_cunt bigint, OUT studies_count bigint, OUT series_count bigint,"
    " OUT instances_count bigint, OUT total_compressed_size bigint, OUT total_uncompressed_size bigint",
    "computestatisticsreadonly": "statistics_key integer, OUT accumulated_value bigint",
    "computemissingchildcount": "batch_size bigint, OUT updated_rows_count bigint",
    "updateinvalidchildcounts": "OUT updated_rows_count bigint",
    "protectpatient": "patient_id bigint",
    "unprotectpatient": "patient_id bigint",
}

PROPERTIES = {1: "6", 4: "10", 6: "1", 10: "1", 11: "3", 12: "1", 13: "1", 14: "1"}

CASCADES = {"maindicomtags", "dicomidentifiers", "metadata", "attachedfiles", "labels", "changes", "invalidchildcounts"}


@pytest.fixture
def sql(database_uri):
    with psycopg.connect(database_uri, autocommit=True) as connection:
        yield lambda query: connection.execute(query).fetchall()


def test_tables_and_columns_in_order(sql):
    found = sql(
        "SELECT c.relname, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' GROUP BY c.relname"
    )
    assert dict(found) == COLUMNS


def test_keys(sql):
    found = sql(
        "SELECT conrelid::regclass::text, substring(pg_get_constraintdef(oid) FROM '\\((.*)\\)') FROM pg_constraint"
        " WHERE contype = 'p' AND connamespace = 'public'::regnamespace"
    )
    assert dict(found) == PRIMARY_KEYS
    unique = sql(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'u'"
        " AND connamespace = 'public'::regnamespace"
    )
    assert unique == [("uniquepublicid", "UNIQUE (publicid)")]
    foreign = sql(
        "SELECT conrelid::regclass::text, confdeltype FROM pg_constraint WHERE contype = 'f'"
        " AND connamespace = 'public'::regnamespace"
    )
    assert dict(foreign) == dict.fromkeys(CASCADES, "c") | {"resources": "a"}
    [(parent,)] = sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'resources_parentid_fkey'")
    assert parent == "FOREIGN KEY (parentid) REFERENCES resources(internalid)"


def test_indexes(sql):
    found = dict(
        sql(
            "SELECT c.relname, regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING btree ', '')"
            " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE c.relnamespace = 'public'::regnamespace"
            " AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))"
        )
    )
    trigram = found.pop("dicomidentifiersindexvalues2")
    assert trigram.endswith("USING gin (value gin_trgm_ops)")
    assert found == INDEXES


def test_triggers(sql):
    found = sql(
        "SELECT t.tgname, t.tgrelid::regclass::text, p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE NOT t.tgisinternal"
    )
    assert {name: (table, function) for name, table, function in found} == TRIGGERS


def test_functions_with_the_names_that_plugins_and_upgrades_rely_on(sql):
    found = sql(
        "SELECT proname, pg_get_function_arguments(p.oid) FROM pg_proc p LEFT JOIN pg_depend d"
        " ON d.objid = p.oid AND d.deptype = 'e'"
        " WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype AND d.objid IS NULL"
    )
    assert dict(found) == FUNCTIONS


def test_properties_counters_and_sequences(sql):
    assert dict(sql("SELECT property, value FROM GlobalProperties")) == PROPERTIES
    assert dict(sql("SELECT key, value FROM GlobalIntegers")) == dict.fromkeys(range(7), 0)
    sequences = sql("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1")
    assert [name for (name,) in sequences] == [
        "changes_seq_seq",
        "exportedresources_seq_seq",
        "globalintegerschanges_pk_seq",
        "invalidchildcounts_pk_seq",
        "patientrecyclingordersequence",
        "queues_id_seq",
        "resources_internalid_seq",
    ]


def test_not_null_columns(sql):
    found = sql(
        "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnotnull AND a.attnum > 0"
        " AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary"
        "                 AND a.attnum = ANY (i.indkey))"
    )
    assert {name for (name,) in found} == {
        "resources.resourcetype",
        "resources.publicid",
        "attachedfiles.uuid",
        "keyvaluestores.value",
        "queues.queueid",
        "queues.value",
        "auditlogs.sourceplugin",
        "auditlogs.userid",
        "auditlogs.resourcetype",
        "auditlogs.resourceid",
        "auditlogs.action",
    }
