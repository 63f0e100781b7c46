"""One transaction from one revision to another, the offline way: the very SQL that `schema sql` prints.

Invariant: the database is at the old revision or at the new one, with all its rows, and never in between. The
transaction holds Orthanc's set-up key and refuses while somebody holds the key of its option `Lock`, so no node of
Orthanc's plugins starts or works meanwhile; whoever works without `Lock` is noticed by lock_timeout.
"""

from collections.abc import Callable, Iterator

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster import tracing
from cluster.database.advisory_lock import SETUP_KEY
from cluster.errors import LockNotAvailable
from cluster.schema.revision import SCHEMA_VERSION, UNKNOWN, name_of
from cluster.schema.steps import scripts, text

EXCLUSIVE_USE_KEY = 42
"""Held by a node of Orthanc's with `Lock: true` as long as it lives (interop/schema.md 10)."""

_LOCK_TIMEOUT = "10s"

_PREAMBLE = """\
SET LOCAL search_path TO {schema};
-- A lock that does not come within this time belongs to a node that still runs.
SET LOCAL lock_timeout TO {lock_timeout};
SET LOCAL client_min_messages TO warning;
DO $guard$
BEGIN
    IF to_regclass({properties}) IS NULL THEN
        RAISE EXCEPTION 'there is no Orthanc index in this PostgreSQL schema';
    END IF;
    IF NOT pg_try_advisory_xact_lock({setup_key}) THEN
        RAISE lock_not_available USING MESSAGE = 'another node holds the set-up lock';
    END IF;
    IF NOT pg_try_advisory_xact_lock({exclusive_key}) THEN
        RAISE lock_not_available USING MESSAGE =
            'an Orthanc node with the option "Lock" uses this database; stop it first';
    END IF;
    IF NOT EXISTS (SELECT FROM GlobalProperties WHERE property = 1 AND value = {version})
       OR coalesce((SELECT value FROM GlobalProperties WHERE property = 4), '0') <> ALL ({expected}) THEN
        RAISE EXCEPTION 'this is for an Orthanc index at revision {source_name}, and this one is not';
    END IF;
END
$guard$;
"""


def script(schema_name: str, source: int, target: int, *, online: bool = False) -> Iterator[tuple[str, str, str]]:
    """The SQL between BEGIN and COMMIT, as (part, name of the file, SQL); `online` as in `scripts`."""
    # A database of unknown revision says nothing, or 1 (Observation).
    expected = ["0", "1"] if source == UNKNOWN else [str(source)]
    preamble = sql.SQL(_PREAMBLE.replace("{source_name}", name_of(source))).format(
        schema=sql.Identifier(schema_name),
        lock_timeout=sql.Literal(_LOCK_TIMEOUT),
        properties=sql.Literal("globalproperties"),
        setup_key=sql.Literal(SETUP_KEY),
        exclusive_key=sql.Literal(EXCLUSIVE_USE_KEY),
        version=sql.Literal(SCHEMA_VERSION),
        expected=sql.Literal(expected),
    )
    parts = tuple(scripts(source, target, online=online))
    if parts:
        yield "look before", "", preamble.as_string(None)
    for part, name in parts:
        yield part, name, text(name)


def printed(schema_name: str, source: int, target: int) -> str:
    """The whole script for ``psql -v ON_ERROR_STOP=1 -f``."""
    head = (
        f"-- Orthanc index in PostgreSQL schema {sql.Identifier(schema_name).as_string(None)}:"
        f" revision {name_of(source)} to {name_of(target)}, in one transaction.\n"
        "-- Stop all nodes first. Run with: psql -v ON_ERROR_STOP=1 -f\n\nBEGIN;\n\n"
    )
    body = "\n".join(
        f"-- {part}{f' ({name})' if name else ''} ".ljust(119, "-") + "\n\n" + statements
        for part, name, statements in script(schema_name, source, target)
    )
    return f"{head}{body}\nCOMMIT;\n"


def migrate(
    connection: psycopg.Connection[TupleRow],
    schema_name: str,
    source: int,
    target: int,
    on_part: Callable[[str], None] = lambda part: None,
) -> None:
    """Run the script inside the caller's transaction.

    Args:
        on_part: told each part as it begins.

    Raises:
        LockNotAvailable: somebody works on the database.
    """
    told = ""
    for part, _, statements in script(schema_name, source, target):
        if part != told:
            on_part(part)
            told = part
        try:
            with tracing.span("schema upgrade step", {"orthanc_cluster.step": part}):
                connection.execute(statements.encode())
        except psycopg.errors.LockNotAvailable as error:
            raise LockNotAvailable(
                f"{error.diag.message_primary}. Nothing was changed; stop all nodes first"
            ) from error
