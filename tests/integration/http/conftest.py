"""A whole HTTP door on a real database and storage area, and a client for it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyorthanc
import pytest
from orthanc_api_client import OrthancApiClient
from prometheus_client import generate_latest

from cluster.config import Settings
from cluster.ingest.intake import Intake, open_intake
from tests.support.settings import settings_for
from workers.http import HttpServer
from workers.lone_worker import LoneWorker


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


@dataclass
class Door:
    """One running server; `reason` is why the node is not ready."""

    settings: Settings
    intake: Intake
    server: HttpServer
    client: httpx.Client
    storage_directory: Path
    index_uri: str
    reason: str | None = None

    def post(self, content: Any, **headers: str) -> httpx.Response:
        return self.client.post(
            "/instances", content=content, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    def files(self) -> list[Path]:
        return [path for path in self.storage_directory.rglob("*") if path.is_file()]


OpenDoor = Callable[..., Door]


@pytest.fixture
def open_door(index_uri: str, storage_directory: Path) -> Iterator[OpenDoor]:
    """Starts a server with the given top-level options, on any free port unless `port` says which."""
    doors: list[Door] = []

    def start(*, port: int = 0, auth: tuple[str, str] | None = None, **options: Any) -> Door:
        settings = settings_for(index_uri, storage_directory, **options)
        settings = settings.model_copy(update={"http": settings.http.model_copy(update={"port": port})})
        intake = open_intake(settings)
        server = HttpServer(
            settings,
            intake,
            intake.database,
            intake.storage,
            lambda: door.reason,
            lambda: bytes(generate_latest()),
            waker=None if settings.postgresql.enable_index else LoneWorker(settings, intake),  # which is not started
        )
        client = httpx.Client(auth=auth, timeout=30, trust_env=False)
        door = Door(settings, intake, server, client, storage_directory, index_uri)
        doors.append(door)
        server.start()
        client.base_url = httpx.URL(f"http://127.0.0.1:{server.port}")
        return door

    yield start
    for door in doors:
        door.client.close()
        door.server.stop()
        door.intake.close()


@pytest.fixture
def door(open_door: OpenDoor) -> Door:
    """A server with the default options."""
    return open_door()


@pytest.fixture
def client(door: Door) -> Iterator[OrthancApiClient]:
    """orthanc-api-client."""
    client = OrthancApiClient(f"http://127.0.0.1:{door.server.port}")
    client._http_session.trust_env = False
    yield client
    client._http_session.close()


@pytest.fixture
def orthanc(door: Door) -> Iterator[pyorthanc.Orthanc]:
    """pyorthanc."""
    with pyorthanc.Orthanc(f"http://127.0.0.1:{door.server.port}", trust_env=False) as client:
        yield client
