"""The disk of the index is full: senders are told, readers are served, nothing that was acknowledged is lost."""

import contextlib
from pathlib import Path

import httpx
import pytest

from tests.faults.test_full_storage import c_store, small_disk  # noqa: F401 - the fixture
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess


@pytest.fixture
def storage_directory(tmp_path: Path) -> Path:
    """Where the small disk is: that of the index."""
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


def test_a_full_disk_is_told_and_recovered_from(
    small_disk: list[str],  # noqa: F811 - the fixture
    tmp_path: Path,
    storage_directory: Path,
) -> None:
    files = [make_file(SOPInstanceUID=f"2.25.{number}") for number in range(60)]
    node = NodeProcess("node", tmp_path, f"sqlite:{storage_directory}", tmp_path / "files", prefix=small_disk)
    with node, httpx.Client(base_url=node.url, timeout=30, trust_env=False) as client:
        stored = {client.post("/instances", content=files[0]).raise_for_status().json()["ID"]}
        # Given a disk that somebody else fills
        ballast = Path(f"/proc/{node.process.pid}/root{storage_directory}/ballast")
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096:
                pass
        # When instances come, then those that find no place any more are refused as by a full storage area
        answers = []
        for number, file in enumerate(files[1:], start=1):
            answer = client.post("/instances", content=file)
            answers.append((number, answer.status_code))
            if answer.status_code != 200:
                assert (answer.status_code, answer.json()["OrthancStatus"]) == (507, 19), answer.text
                break
            stored.add(answer.json()["ID"])
        refused = answers[-1][0]
        assert answers[-1][1] == 507
        assert c_store(node, files[refused], refused) == 0xA700
        # and what was acknowledged is there, with its file, and nothing else
        assert set(client.get("/instances").json()) == stored
        assert client.get("/statistics").json()["CountInstances"] == len(stored)
        assert sum(path.is_file() for path in (tmp_path / "files").rglob("*")) == len(stored)
        # When there is space again, then it takes what it refused
        ballast.unlink()
        assert client.post("/instances", content=files[refused]).json()["Status"] == "Success"
        assert c_store(node, files[refused + 1], refused + 1) == 0
        assert client.get("/statistics").json()["CountInstances"] == len(stored) + 2
