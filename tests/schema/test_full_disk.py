"""A disk that is full in the middle of an upgrade: a command ends, a node waits, and both go on when there is room."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest

from cluster.schema.ledger import steps, unfinished_back_fills
from cluster.schema.revision import observe
from tests.schema.archive import contents, fill
from tests.schema.command_line import WAYS, run_schema, state
from tests.schema.conftest import at_revision
from tests.schema.test_same_catalogue import KEYS_ADDED_LAST
from tests.support.catalogue import catalogue
from tests.support.gates import NodeThread
from tests.support.nodes import NodeProcess
from tests.support.odd_servers import SmallDiskPostgreSQL
from tests.support.servers import new_database
from workers.local.children import wait_until


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    with SmallDiskPostgreSQL(tmp_path_factory.mktemp("small") / "server", 64) as server:
        with psycopg.connect(server.uri(), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{server.disk}'")
            # Nobody but the upgrade shall use up what is left.
            connection.execute("ALTER SYSTEM SET autovacuum TO off")
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def large_archive(small_disk):
    """A connection to an index at revision 1 on the small disk, with some megabytes in it."""
    with new_database(small_disk) as name:
        with psycopg.connect(small_disk.uri(), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} SET TABLESPACE small")
        with psycopg.connect(small_disk.uri(name), autocommit=True) as connection:
            at_revision(connection, "public", 1)
            fill(connection, 1)
            # Without triggers: a row at a time they take seconds.
            connection.execute("SET session_replication_role TO replica")
            connection.execute(
                "INSERT INTO Resources (resourceType, publicId) SELECT 0, md5(n::text) FROM generate_series(1, 15000) n"
            )
            connection.execute(
                "INSERT INTO DicomIdentifiers (id, tagGroup, tagElement, value)"
                " SELECT internalId, 16, 32, repeat(publicId, 2) FROM Resources WHERE length(publicId) = 32"
            )
            connection.execute("RESET session_replication_role")
            yield connection


@contextmanager
def nearly_full(server: SmallDiskPostgreSQL, left: int) -> Iterator[None]:
    """So many bytes are left on the disk."""
    disk = server.disk_from_here()
    found = os.statvfs(disk)
    ballast = disk / "ballast"
    try:
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - left)
        yield
    finally:
        ballast.unlink()


def size_of(connection: psycopg.Connection, index: str) -> int:
    return connection.execute("SELECT pg_relation_size(%s::regclass)", (index,)).fetchone()[0]


@pytest.mark.parametrize(
    ("change", "last_step", "advice"),
    [
        pytest.param(WAYS["offline"], "2 → 3", "Nothing was changed", id="offline"),
        pytest.param(
            WAYS["online"],
            "before: children of a resource",
            "Make room and give the command again: it goes on where it ended",
            id="online",
        ),
    ],
)
def test_a_disk_that_is_full_in_the_middle(small_disk, large_archive, index, change, last_step, advice):
    # Given room for the unique index of 1 → 2, which is like this one, and not for those of 2 → 3
    before, kept = state(large_archive), contents(large_archive, 1)
    with nearly_full(small_disk, left=size_of(large_archive, "PublicIndex") * 3 // 2):
        # When
        ended = run_schema(small_disk.uri(large_archive.info.dbname), *change)
    # Then
    assert ended.status == 3
    assert "orthanc-cluster: the disk of the database server is full: could not" in ended.stderr
    assert ended.stderr.endswith(f" (SQLSTATE 53100). {advice}\n")
    # The progress bar begins with a step too, with whichever one it was about a second ago.
    lines = [line for line in ended.stderr.splitlines() if "%" not in line or line.startswith("orthanc-cluster: ")]
    *_, last, _ = (line for line in lines if "→" in line or line.startswith(("before: ", "orthanc-cluster: ")))
    assert last == last_step
    after = state(large_archive)
    assert after.rows == before.rows
    if change == WAYS["offline"]:
        assert after == before
    else:
        # What was done beforehand is kept: writers of the old revision do not notice it.
        assert (after.structure - before.structure).keys() == {"index"}
    # When there is room, the same command goes on
    ended = run_schema(small_disk.uri(large_archive.info.dbname), *change)
    assert ended.status == 0, ended.stderr
    assert contents(large_archive, 10) == kept
    assert catalogue(large_archive) - catalogue(index(10, fresh=True)) == KEYS_ADDED_LAST


def test_writers_have_the_room_again_that_an_index_did_not_fit_into(small_disk, large_archive):
    with nearly_full(small_disk, left=size_of(large_archive, "PublicIndex") * 3 // 2):
        assert run_schema(small_disk.uri(large_archive.info.dbname), *WAYS["online"]).status == 3
        assert large_archive.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)
        large_archive.execute(
            "INSERT INTO Metadata (id, type, value) SELECT internalId, 1024, repeat('x', 50) FROM Resources LIMIT 1000"
        )


def test_a_downgrade_that_does_not_fit_changes_nothing(small_disk, large_archive):
    assert run_schema(small_disk.uri(large_archive.info.dbname), *WAYS["online"]).status == 0
    before = state(large_archive)
    with nearly_full(small_disk, left=size_of(large_archive, "PublicIndex") // 8):
        ended = run_schema(small_disk.uri(large_archive.info.dbname), "downgrade", "--to", "1")
    assert ended.status == 3
    assert ended.stderr.endswith(" (SQLSTATE 53100). Nothing was changed\n")
    assert state(large_archive) == before


def test_a_node_waits_for_room_and_goes_on(small_disk, large_archive, index, tmp_path, storage_directory):
    kept, uri = contents(large_archive, 1), small_disk.uri(large_archive.info.dbname)
    options = {"PostgreSQL": {"EnableIndex": True, "ConnectionUri": uri, "ConnectionRetryInterval": 1}}
    node = NodeProcess("node", tmp_path, uri, storage_directory, **options)
    with ExitStack() as stack:
        with nearly_full(small_disk, left=size_of(large_archive, "PublicIndex") * 3 // 2):
            # When a node starts that would upgrade
            node.process.start()
            stack.callback(node.process.terminate)
            waits = "the disk of the database server is full: could not "
            assert wait_until(lambda: readiness(node)[1].startswith(waits), 30)
            # Then it stays, alive and not ready, with what is done so far, and tries again
            attempts = attempts_of(node)
            assert wait_until(lambda: attempts_of(node) >= attempts + 2, 20)
            assert httpx.get(f"{node.url}/livez").status_code == 200
            assert readiness(node)[0] == 503
            assert observe(large_archive, "public").revision == 1
            assert [entry.name for entry in steps(large_archive) if entry.done][-1] == "before: patients unique"
        # and when there is room it does the rest
        assert wait_until(lambda: readiness(node) == (200, ""), 30)
        assert wait_until(lambda: not unfinished_back_fills(large_archive), 30)
    assert contents(large_archive, 10) == kept
    assert catalogue(large_archive) - catalogue(index(10, fresh=True)) == KEYS_ADDED_LAST


def attempts_of(node: NodeProcess) -> int:
    """How often it began with the step that does not fit."""
    return node.log.read_text("utf-8").count("schema upgrade: before: children of a resource")


def readiness(node: NodeProcess) -> tuple[int, str]:
    try:
        answer = httpx.get(f"{node.url}/readyz")
    except httpx.TransportError:
        return 0, ""
    return answer.status_code, answer.json().get("reason", "")


def test_a_node_that_waits_for_room_can_be_stopped(small_disk, large_archive):
    with (
        nearly_full(small_disk, left=size_of(large_archive, "PublicIndex") * 3 // 2),
        NodeThread(small_disk.uri(large_archive.info.dbname)) as node,
    ):
        assert wait_until(lambda: "is full" in (node.gate.reason or ""), 30)
        node.gate.stop()
        assert node.join(10)
        assert node.is_ready is False
