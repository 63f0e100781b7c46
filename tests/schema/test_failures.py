"""What goes wrong around a change of the schema: the operator is told what, and nothing is half-done."""

import socket
from contextlib import closing
from threading import Thread

import psycopg
import pytest

from cluster.coordinator.gate import Gate
from tests.schema.archive import fill
from tests.schema.command_line import CHANGES, nothing_changes, run_schema, uri_of
from tests.schema.conftest import at_revision
from tests.support.odd_servers import Standby
from tests.support.servers import new_database
from tests.support.settings import settings_for
from workers.local.children import wait_until
from workers.local.postgresql import LocalPostgreSQL


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
