"""A real Orthanc without plugin opens our index in SQLite, and we open its: one at a time, the same archive."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.database.sqlite_connection import connect
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.orthanc import OrthancProcess, orthanc_files

FILES = [
    make_file(
        PatientID=f"P{number % 3}",
        StudyInstanceUID=f"2.25.{number % 3}",
        SeriesInstanceUID=f"2.25.{number % 3}.{number % 2}",
        SOPInstanceUID=f"2.25.9.{number}",
        InstanceNumber=number,
    )
    for number in range(9)
]

SHOWN = (
    "MainDicomTags",
    "PatientMainDicomTags",
    "ParentPatient",
    "ParentStudy",
    "ParentSeries",
    "ID",
    "Type",
    "IndexInSeries",
)


class Archive:
    """What one of the two servers shows."""

    def __init__(self, url: str) -> None:
        # No connection outlives its request: the server does not either.
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False, headers={"Connection": "close"})

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        answer.raise_for_status()
        return answer.json()

    def upload(self, files: list[bytes]) -> list[str]:
        return [self.client.post("/instances", content=file).raise_for_status().json()["Status"] for file in files]

    def everything(self) -> dict[str, Any]:
        """Resources, files, changes and totals."""
        levels = ("patients", "studies", "series", "instances")
        resources = {level: sorted(self.get(f"/{level}")) for level in levels}
        expanded = {
            one: {key: value for key, value in self.get(f"/{level}/{one}").items() if key in SHOWN}
            for level in levels
            for one in resources[level]
        }
        files = {one: self.client.get(f"/instances/{one}/file").content for one in resources["instances"]}
        changes = [
            (change["Seq"], change["ChangeType"], change["ID"])
            for change in self.get("/changes?limit=1000")["Changes"]
            if not change["ChangeType"].startswith("Stable")
        ]
        totals = self.get("/statistics")
        counts = {key: totals[key] for key in totals if key.startswith("Count") or key == "TotalDiskSize"}
        metadata = {
            one: self.client.get(f"/instances/{one}/metadata/TransferSyntax").text for one in resources["instances"]
        }
        return {
            "resources": resources,
            "expanded": expanded,
            "files": files,
            "changes": changes,
            "counts": counts,
            "metadata": metadata,
            "protected": {one: self.client.get(f"/patients/{one}/protected").text for one in resources["patients"]},
            "of users": {one: self._of_users(one) for one in resources["patients"]},
        }

    def _of_users(self, patient: str) -> list[bytes | None]:
        """A metadata and an attachment, where there are such."""
        answers = [
            self.client.get(f"/patients/{patient}/{path}") for path in ("metadata/1025", "attachments/1026/data")
        ]
        return [answer.content if answer.status_code == 200 else None for answer in answers]

    def delete_everything(self) -> None:
        for patient in self.get("/patients"):
            self.client.delete(f"/patients/{patient}").raise_for_status()
        assert self.get("/statistics")["TotalDiskSize"] == "0"


@pytest.fixture
def orthanc(tmp_path: Path) -> OrthancProcess:
    return OrthancProcess("plain", tmp_path, orthanc_files(), None, tmp_path / "OrthancStorage")


@pytest.fixture
def node(tmp_path: Path) -> NodeProcess:
    return NodeProcess("ours", tmp_path, "", tmp_path / "OrthancStorage", PostgreSQL={})


def work(archive: Archive) -> None:
    """Writes of every kind, which have to be understood by the other one."""
    assert archive.upload(FILES) == ["Success"] * len(FILES)
    patients = archive.get("/patients")
    archive.client.put(f"/patients/{patients[0]}/protected", content="1").raise_for_status()
    archive.client.put(f"/patients/{patients[0]}/metadata/1025", content="x").raise_for_status()
    archive.client.put(f"/patients/{patients[0]}/attachments/1026", content=b"y" * 100).raise_for_status()
    archive.client.delete(archive.get(f"/patients/{patients[1]}/instances")[0]["ID"].join(("/instances/", "")))


def test_orthanc_opens_ours_and_goes_on_where_we_end(orthanc: OrthancProcess, node: NodeProcess) -> None:
    with node:
        ours = Archive(node.url)
        work(ours)
        before = ours.everything()
    with orthanc:
        theirs = Archive(orthanc.url)
        assert theirs.everything() == before
        assert set(before["files"].values()) < set(FILES)
        assert [b"x", b"y" * 100] in before["of users"].values()
        # Deleting needs triggers, foreign keys and functions of the program that has the file open.
        theirs.delete_everything()


def test_we_open_orthancs(orthanc: OrthancProcess, node: NodeProcess, tmp_path: Path) -> None:
    with orthanc:
        theirs = Archive(orthanc.url)
        work(theirs)
        before = theirs.everything()
        # Not both at a time.
        argv = [sys.executable, "-m", "workers", "ingest", "--config", str(tmp_path / "ours.json")]
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert (answer.returncode, "in use by another process, a node or an Orthanc" in answer.stderr) == (3, True)
    with node:
        ours = Archive(node.url)
        assert ours.everything() == before
        # What is there is known, and what is new goes behind it.
        known = next(iter(before["files"].values()))
        assert ours.upload([known]) == ["AlreadyStored"]
        assert ours.upload([make_file(SOPInstanceUID="2.25.77")]) == ["Success"]
        assert ours.get("/changes?last")["Last"] > before["changes"][-1][0]
        ours.delete_everything()
    with closing(connect(tmp_path / "OrthancStorage")) as index:
        assert index.execute("PRAGMA foreign_key_check").fetchall() == []
        assert index.execute("SELECT count(*) FROM Resources").fetchall() == [(0,)]


def test_an_orthanc_beside_a_node_can_write_nothing(orthanc: OrthancProcess, node: NodeProcess, tmp_path: Path) -> None:
    with node, orthanc:
        assert Archive(orthanc.url).upload(FILES[:1]) == ["Failure"]
        assert Archive(node.url).upload(FILES) == ["Success"] * len(FILES)
        assert Archive(node.url).get("/statistics")["CountInstances"] == len(FILES)
    with closing(connect(tmp_path / "OrthancStorage")) as index:
        assert index.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
