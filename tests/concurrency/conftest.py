"""Two nodes on one index, and what must hold of it in the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.support.dicom import make_file
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.nodes import NodeProcess
from workers.local.children import wait_until

StartNodes = Callable[..., list[NodeProcess]]


@pytest.fixture
def start_nodes(tmp_path: Path, database_uri: str, storage_directory: Path) -> Iterator[StartNodes]:
    """`start_nodes(**options)` starts two nodes; when they have ended, nothing may have run into a permanent error."""
    started: list[NodeProcess] = []

    def start(**options: object) -> list[NodeProcess]:
        for name in ("a", "b"):
            node = NodeProcess(name, tmp_path, database_uri, storage_directory, **options)
            started.append(node)
            node.start()
        return started

    yield start
    for node in started:
        if node.process.running:
            node.process.terminate()
        assert "Traceback" not in node.log.read_text("utf-8")


@pytest.fixture
def connection(database_uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_uri, autocommit=True) as connection:
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
    assert wait_until(lambda: len(set(rows_and_files(connection, storage_directory)[1])) == rows(connection), 20)
    found, files = rows_and_files(connection, storage_directory)
    assert found == files
    assert_exact(connection)


def rows(connection: psycopg.Connection) -> int:
    return connection.execute("SELECT count(*) FROM AttachedFiles").fetchone()[0]
