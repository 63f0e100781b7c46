"""What a PostgreSQL schema consists of, as text, so that two of them can be compared."""

from dataclasses import dataclass

import psycopg

_QUERIES = {
    "column": """
        SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
               || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
               || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r'""",
    "order": """
        SELECT c.relname || ': ' || string_agg(a.attname, ', ' ORDER BY a.attnum)
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r' GROUP BY c.relname""",
    "constraint": """
        SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated
          FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace AND contype <> 'n'""",
    "index": """
        SELECT pg_get_indexdef(i.indexrelid) || ' valid ' || i.indisvalid
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE c.relnamespace = %(schema)s::regnamespace""",
    "sequence": """
        SELECT sequencename || ' ' || data_type || ' ' || start_value || ' ' || increment_by
          FROM pg_sequences WHERE schemaname = %(schema)s""",
    "function": """
        SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') ' || pg_get_function_result(p.oid)
          FROM pg_proc p LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
         WHERE p.pronamespace = %(schema)s::regnamespace AND d.objid IS NULL""",
    "body": """
        SELECT p.proname || ' ' || md5(p.prosrc)
          FROM pg_proc p LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
         WHERE p.pronamespace = %(schema)s::regnamespace AND d.objid IS NULL""",
    "trigger": """
        SELECT c.relname || ' ' || t.tgname || ' ' || p.proname || ' events ' || (t.tgtype::integer & ~1)
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
         WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal""",
    "trigger level": """
        SELECT c.relname || ' ' || t.tgname || ' row ' || (t.tgtype::integer & 1)
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal""",
    "other": """
        SELECT c.relkind::text || ' ' || c.relname FROM pg_class c
         WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind NOT IN ('i')""",
}


@dataclass(frozen=True)
class Catalogue:
    """Lines of text by kind."""

    lines: dict[str, frozenset[str]]

    def __sub__(self, other: "Catalogue") -> dict[str, list[str]]:
        """What is here and not there, and the reverse (with a minus sign), by kind; empty if they are the same."""
        found = {}
        for kind, here in self.lines.items():
            there = other.lines[kind]
            difference = sorted(here - there) + [f"- {line}" for line in sorted(there - here)]
            if difference:
                found[kind] = difference
        return found


def catalogue(connection: psycopg.Connection, schema_name: str = "public") -> Catalogue:
    """Everything but rows; properties and keys of counters are rows that belong to it."""
    connection.execute(psycopg.sql.SQL("SET search_path TO {}").format(psycopg.sql.Identifier(schema_name)))
    quoted = connection.execute("SELECT quote_ident(%s)", (schema_name,)).fetchone()[0]
    lines = {}
    for kind, query in _QUERIES.items():
        values = {"schema": schema_name if kind == "sequence" else quoted}
        rows = connection.execute(query, values).fetchall()
        # The schema's own name must not make a difference, nor that of the one where pg_trgm is.
        lines[kind] = frozenset(line.replace(f"{quoted}.", "").replace("public.gin", "gin") for (line,) in rows)
    lines["property"] = frozenset(
        f"{number} = {value}" for number, value in connection.execute("SELECT property, value FROM GlobalProperties")
    )
    lines["counter"] = frozenset(str(key) for (key,) in connection.execute("SELECT key FROM GlobalIntegers"))
    return Catalogue(lines)
