"""Two nodes on one index, or one that is alone with SQLite, and what must hold of it in the end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.dicom import make_file
from tests.support.indices import connect
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.nodes import NodeProcess
from workers.local.children import wait_until

StartNodes = Callable[..., list[NodeProcess]]


in_every_mode = pytest.mark.parametrize("mode", ["ReadCommitted", "Serializable", "sqlite"], indirect=True)
on_both = pytest.mark.parametrize("mode", ["ReadCommitted", "sqlite"], indirect=True)


@pytest.fixture(params=["ReadCommitted"])
def mode(request: pytest.FixtureRequest) -> str:
    """How transactions of PostgreSQL are isolated, or that the index is in SQLite, where they take turns."""
    return request.param


@pytest.fixture
def index(mode: str) -> str:
    return "sqlite" if mode == "sqlite" else "postgresql"


@pytest.fixture
def start_nodes(tmp_path: Path, index_uri: str, storage_directory: Path, mode: str) -> Iterator[StartNodes]:
    """`start_nodes(**options)` starts two nodes; when they have ended, nothing may have run into a permanent error.

    With SQLite there is one, which stands for both.
    """
    started: list[NodeProcess] = []

    def start(**options: object) -> list[NodeProcess]:
        names = ("alone",) if mode == "sqlite" else ("a", "b")
        if mode == "Serializable":
            options["PostgreSQL"] = {"EnableIndex": True, "ConnectionUri": index_uri, "TransactionMode": mode}
        for name in names:
            node = NodeProcess(name, tmp_path, index_uri, storage_directory, **options)
            started.append(node)
            node.start()
        return [started[0], started[-1]]

    yield start
    for node in started:
        if node.process.running:
            node.process.terminate()
        assert "Traceback" not in node.log.read_text("utf-8")


@pytest.fixture
def connection(index_uri: str) -> Iterator[Any]:
    with connect(index_uri) as connection:
        yield connection


def instance_file(series: int, instance: int, patient: str = "P1", study: int = 1) -> bytes:
    return make_file(
        PatientID=patient,
        StudyInstanceUID=f"2.25.{study}",
        SeriesInstanceUID=f"2.25.{study}.{series}",
        SOPInstanceUID=f"2.25.{study}.{series}.{instance}",
        InstanceNumber=instance,
    )


def client_of(node: NodeProcess) -> httpx.Client:
    return httpx.Client(base_url=node.url, timeout=60, trust_env=False)


def assert_all_exact(connection: psycopg.Connection, storage_directory: Path) -> None:
    assert wait_until(lambda: len(rows_and_files(connection, storage_directory)[1]) == rows(connection), 20)
    found, files = rows_and_files(connection, storage_directory)
    assert found == files
    assert_exact(connection)


def rows(connection: psycopg.Connection) -> int:
    return connection.execute("SELECT count(*) FROM AttachedFiles").fetchone()[0]
