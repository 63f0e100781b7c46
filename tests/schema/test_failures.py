"""What goes wrong around a change of the schema: the operator is told what, and nothing is half-done."""

import socket
import uuid
from contextlib import closing
from threading import Thread
from typing import Self

import psycopg
import pytest
from psycopg import sql

from cluster.coordinator.gate import Gate
from cluster.errors import DatabaseRefused
from cluster.schema.revision import Finding, observe
from tests.schema.archive import fill
from tests.schema.command_line import CHANGES, UPGRADES, nothing_changes, run_schema, uri_of
from tests.schema.conftest import at_revision
from tests.support.odd_servers import Standby
from tests.support.servers import new_database
from tests.support.settings import settings_for
from workers.local.children import wait_until
from workers.local.postgresql import LocalPostgreSQL


class Roles:
    """Roles of a server that own and may nothing but what is said; gone at the end of the block."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            self.connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))

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
        for kind, name in self.connection.execute(
            "SELECT 'TABLE', oid::regclass::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            " UNION ALL SELECT 'SEQUENCE', c.oid::regclass::text FROM pg_class c"
            " LEFT JOIN pg_depend d ON d.objid = c.oid AND d.deptype IN ('a', 'i')"
            " WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' AND d.objid IS NULL"
            " UNION ALL SELECT 'FUNCTION', p.oid::regprocedure::text FROM pg_proc p"
            " LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'"
            " WHERE pronamespace = 'public'::regnamespace AND d.objid IS NULL"
        ).fetchall():
            self.connection.execute(sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), sql.SQL(name), role))
        return uri_of(self.connection, user=self.names[-1], password=self.names[-1])


@pytest.fixture(scope="module")
def archive(postgresql):
    """A connection to an index at revision 5, with data, that no test changes."""
    with (
        new_database(postgresql) as name,
        psycopg.connect(postgresql.uri(name), autocommit=True) as connection,
    ):
        at_revision(connection, "public", 5)
        fill(connection, 5)
        yield connection


def reason_to_wait(uri: str) -> str:
    """What a node says that waits for its database when it starts."""
    settings = settings_for(uri, postgresql={"ConnectionRetryInterval": 1})
    with closing(Gate(settings, role="ingest")) as gate:
        waiting = Thread(target=gate.wait_until_ready)
        waiting.start()
        try:
            assert wait_until(lambda: gate.reason != "starting", 10)
            reason = gate.reason
            assert waiting.is_alive()
            assert not gate.is_ready
        finally:
            gate.stop()
            waiting.join(10)
        assert not waiting.is_alive()
    return reason


# -- the way in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_password_is_told(archive, change):
    with nothing_changes(archive):
        ended = run_schema(uri_of(archive, password="wrong"), *change)
    assert ended.status == 3
    assert 'password authentication failed for user "orthanc"' in ended.stderr
    assert ended.stderr.count("failed") == 1
    server = f'server at "{archive.info.host}", port {archive.info.port}'
    assert f"orthanc-cluster: no connection to {server}: FATAL:" in ended.stderr


@pytest.mark.parametrize("change", CHANGES)
def test_a_server_that_is_not_there_is_told(archive, change):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    ended = run_schema(f"postgresql://orthanc@127.0.0.1:{port}/archive", *change)
    assert ended.status == 3
    refused = f'orthanc-cluster: no connection to server at "127.0.0.1", port {port}: Connection refused\n'
    assert ended.stderr.endswith(refused)


@pytest.mark.parametrize("change", CHANGES)
def test_a_missing_database_is_told(archive, change):
    with nothing_changes(archive):
        ended = run_schema(uri_of(archive, dbname="absent"), *change)
    assert ended.status == 3
    assert 'database "absent" does not exist' in ended.stderr


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"password": "wrong"}, 'password authentication failed for user "orthanc"'),
        ({"dbname": "absent"}, 'database "absent" does not exist'),
    ],
    ids=["password", "database"],
)
def test_a_node_waits_for_its_password_and_its_database(archive, wrong, words):
    with nothing_changes(archive):
        assert words in reason_to_wait(uri_of(archive, **wrong))


# -- privileges ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_a_role_that_may_only_read_is_refused(archive, change):
    with Roles(archive) as roles:
        uri = roles.reader()
        with nothing_changes(archive):
            ended = run_schema(uri, *change)
    assert ended.status == 3
    assert "must be owner of" in ended.stderr or "permission denied for" in ended.stderr


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


@pytest.mark.parametrize("kind", ["reader", "owner_without_create"])
def test_a_node_whose_role_may_not_upgrade_ends(index, kind):
    archive = index(5, filled=True)
    with Roles(archive) as roles:
        uri = getattr(roles, kind)()
        with (
            nothing_changes(archive),
            closing(Gate(settings_for(uri), role="ingest")) as gate,
            pytest.raises(DatabaseRefused, match="permission denied for database"),
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


# -- a standby -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standby(tmp_path_factory):
    """A read-only server with an index at revision 5."""
    with LocalPostgreSQL(tmp_path_factory.mktemp("primary"), fast=True) as primary:
        with psycopg.connect(primary.uri(), autocommit=True) as connection:
            at_revision(connection, "public", 5)
            fill(connection, 5)
        with Standby(tmp_path_factory.mktemp("standby") / "server", primary) as server:
            yield server


@pytest.mark.parametrize("change", CHANGES)
def test_a_standby_is_refused(standby, change):
    with psycopg.connect(standby.uri(), autocommit=True) as connection, nothing_changes(connection):
        ended = run_schema(standby.uri(), *change)
    assert ended.status == 3
    assert "the server is a standby, or read-only, and takes no writes: cannot execute" in ended.stderr


@pytest.mark.parametrize("change", CHANGES)
def test_a_database_that_takes_no_writes_is_refused(index, change):
    archive = index(5, filled=True)
    archive.execute(f'ALTER DATABASE "{archive.info.dbname}" SET default_transaction_read_only TO on')
    with nothing_changes(archive):
        ended = run_schema(uri_of(archive), *change)
    assert ended.status == 3
    assert "the server is a standby, or read-only, and takes no writes: cannot execute" in ended.stderr


def test_a_node_waits_for_a_standby_to_be_promoted(standby):
    with psycopg.connect(standby.uri(), autocommit=True) as connection, nothing_changes(connection):
        assert "the server is a standby, or read-only, and takes no writes" in reason_to_wait(standby.uri())
