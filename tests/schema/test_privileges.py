"""A role that may not change the schema: it is told what it must own, or be granted, and nothing is half-done."""

import uuid
from contextlib import closing
from typing import Self

import psycopg
import pytest
from psycopg import sql

from cluster.coordinator.gate import Gate
from cluster.database import queries
from cluster.errors import DatabaseRefused
from cluster.schema.install import install_cluster
from cluster.schema.revision import Finding, observe
from tests.schema.command_line import CHANGES, UPGRADES, nothing_changes, run_schema, uri_of
from tests.support.settings import settings_for


class Roles:
    """Roles of a server that own and may nothing but what is said; gone at the end of the block."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            self.connection.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(sql.Identifier(name)))

    def _new(self) -> sql.Identifier:
        self.names.append(f"role_{uuid.uuid4().hex}")
        role = sql.Identifier(self.names[-1])
        self.connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(self.names[-1])))
        return role

    def reader(self) -> str:
        """May connect and read; its URI."""
        role = self._new()
        self.connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(role))
        return uri_of(self.connection, user=self.names[-1], password=self.names[-1])

    def owner_without_create(self) -> str:
        """Owns all there is in the schema public and may create there, but no schema of its own; its URI."""
        role = self._new()
        self.connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(role))
        if self.connection.execute("SELECT to_regnamespace('cluster')").fetchone() != (None,):
            self.connection.execute(sql.SQL("GRANT ALL ON SCHEMA cluster TO {}").format(role))
        for kind, name in everything(self.connection):
            self.own(f"{kind} {name}", self.names[-1])
        return uri_of(self.connection, user=self.names[-1], password=self.names[-1])

    def own(self, thing: str, role: str) -> None:
        """`thing` is a kind and a name."""
        self.connection.execute(sql.SQL("ALTER {} OWNER TO {}").format(sql.SQL(thing), sql.Identifier(role)))


def everything(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """Kind and name of what can be owned in the schemas public and cluster, but for extensions."""
    return connection.execute(
        "WITH spaces AS (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'cluster'))"
        " SELECT 'TABLE', oid::regclass::text FROM pg_class"
        " WHERE relnamespace IN (SELECT oid FROM spaces) AND relkind = 'r'"
        " UNION ALL SELECT 'SEQUENCE', c.oid::regclass::text FROM pg_class c"
        " LEFT JOIN pg_depend d ON d.objid = c.oid AND d.deptype IN ('a', 'i')"
        " WHERE relnamespace IN (SELECT oid FROM spaces) AND relkind = 'S' AND d.objid IS NULL"
        " UNION ALL SELECT 'FUNCTION', p.oid::regprocedure::text FROM pg_proc p"
        " LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'"
        " WHERE pronamespace IN (SELECT oid FROM spaces) AND d.objid IS NULL"
    ).fetchall()


@pytest.mark.parametrize("change", CHANGES)
def test_a_role_that_owns_nothing_is_told_what_it_must_own_and_needs_no_more(index, change):
    archive = index(5, filled=True)
    with Roles(archive) as roles:
        uri, role = roles.reader(), roles.names[-1]
        with nothing_changes(archive):
            ended = run_schema(uri, *change)
        assert ended.status == 3
        assert f'the role "{role}" must own the tables, sequences and functions of the index' in ended.stderr
        assert '"orthanc" owns table attachedfiles, table changes, table dicomidentifiers and ' in ended.stderr
        assert "Nothing was changed" in ended.stderr
        assert f'ALTER TABLE attachedfiles OWNER TO "{role}"' in ended.stderr
        # A member of the owner is enough.
        assert f'GRANT "orthanc" TO "{role}"' in ended.stderr
        archive.execute(f'GRANT "orthanc" TO "{role}"')
        ended = run_schema(uri, *change)
        assert ended.status == 0, ended.stderr


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "foreign",
    [
        "TABLE labels",
        "TABLE patientrecyclingorder",
        "FUNCTION updatechildcount()",
        "TABLE cluster.upgrade",
        "FUNCTION cluster.store_instances",
    ],
)
def test_one_thing_that_belongs_to_somebody_else_is_named(index, change, foreign):
    archive = index(5, filled=True)
    install_cluster(archive, "public", "test")
    with Roles(archive) as roles:
        uri = roles.owner_without_create()
        roles.own(foreign, "orthanc")
        with nothing_changes(archive):
            ended = run_schema(uri, *change)
        assert ended.status == 3
        kind, name = foreign.split()
        assert f'"orthanc" owns {kind.lower()} {name}' in ended.stderr
        assert "more" not in ended.stderr


@pytest.mark.parametrize("change", CHANGES)
def test_an_owner_that_may_not_create_in_the_schema_of_the_index_is_told(index, change):
    archive = index(5, filled=True)
    with Roles(archive) as roles:
        uri, role = roles.owner_without_create(), roles.names[-1]
        archive.execute(f'REVOKE CREATE ON SCHEMA public FROM PUBLIC, "{role}"')
        with nothing_changes(archive):
            ended = run_schema(uri, *change)
        assert ended.status == 3
        assert f'GRANT CREATE ON SCHEMA "public" TO "{role}"' in ended.stderr


@pytest.mark.parametrize("revision", [0, 1, 2, 3, 4, 5, 6, 10])
def test_ownership_of_all_that_is_there_is_looked_at_and_of_nothing_else(index, revision):
    archive = index(revision)
    archive.execute("CREATE TABLE somebody_elses (); CREATE FUNCTION theirs() RETURNS void LANGUAGE sql AS ''")
    with Roles(archive) as roles, psycopg.connect(roles.reader()) as reader:
        rows = reader.execute(queries("cluster.schema", "ownership.sql")["not_owned"], {"schema": "public"}).fetchall()
    looked_at = {(kind.upper(), name) for _, kind, name in rows}
    assert looked_at ^ set(everything(archive)) == {("TABLE", "somebody_elses"), ("FUNCTION", "theirs()")}


@pytest.mark.parametrize("change", UPGRADES)
def test_an_owner_that_may_not_create_our_own_schema_is_told_what_it_needs(index, change):
    archive = index(5, filled=True)
    with Roles(archive) as roles:
        uri = roles.owner_without_create()
        with nothing_changes(archive):
            ended = run_schema(uri, *change)
        assert ended.status == 3
        database, role = archive.info.dbname, roles.names[-1]
        assert f'GRANT CREATE ON DATABASE "{database}" TO "{role}"' in ended.stderr
        # And that is all it needs.
        archive.execute(f'GRANT CREATE ON DATABASE "{database}" TO "{role}"')
        ended = run_schema(uri, *change)
        assert ended.status == 0, ended.stderr


@pytest.mark.parametrize(
    ("kind", "words"), [("reader", "must own the tables"), ("owner_without_create", "permission denied for database")]
)
def test_a_node_whose_role_may_not_upgrade_ends(index, kind, words):
    archive = index(5, filled=True)
    with Roles(archive) as roles:
        uri = getattr(roles, kind)()
        with (
            nothing_changes(archive),
            closing(Gate(settings_for(uri), role="ingest")) as gate,
            pytest.raises(DatabaseRefused, match=words),
        ):
            gate.wait_until_ready()


def test_a_node_whose_role_may_not_install_ends(index):
    empty = index(None)
    with Roles(empty) as roles:
        uri = roles.reader()
        with (
            closing(Gate(settings_for(uri), role="ingest")) as gate,
            # Until PostgreSQL 14 anybody may create tables in the schema public, but no schema.
            pytest.raises(DatabaseRefused, match=r"permission denied for (schema public|database)"),
        ):
            gate.wait_until_ready()
        assert observe(empty, "public").finding is Finding.EMPTY
        assert empty.execute("SELECT to_regnamespace('cluster')").fetchone() == (None,)
