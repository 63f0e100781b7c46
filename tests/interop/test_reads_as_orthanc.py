"""The same files in a real Orthanc and in a node of ours: what is read of them is the same.

Debian 12's Orthanc (1.10.1) is older than the answers that we follow. Left out is what differs on purpose: names of
private tags, which only DCMTK's dictionary has; Japanese with code extensions, which Orthanc decodes as one character
set; searches for a tag of a lower level, which Orthanc 1.10.1 answers with nothing.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pydicom.data
import pytest

from cluster.schema.install import install_database
from tests.support.nodes import NodeProcess
from tests.support.orthanc import OrthancProcess, orthanc_files
from tests.support.servers import new_database
from workers.local.postgresql import LocalPostgreSQL

DATA = Path(pydicom.data.__file__).parent
NOBODY = "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"
"""The patient without a PatientID."""

FILES = (
    "charset_files/chr[!H]*.dcm",
    "test_files/dicomdirtests/98892001/*/*",
    "test_files/693_J2KR.dcm",
    "test_files/MR_small*.dcm",
    "test_files/ExplVR_*.dcm",
    "test_files/image_dfl.dcm",
    "test_files/rtplan.dcm",
    "test_files/test-SR.dcm",
    "test_files/CT_small.dcm",
    "test_files/waveform_ecg.dcm",
)


@dataclass
class Both:
    """Orthanc, our node, and the instances that both have of the same file."""

    orthanc: httpx.Client
    ours: httpx.Client
    uploads: list[dict[str, Any]]

    def answers(self, path: str) -> tuple[httpx.Response, httpx.Response]:
        return self.orthanc.get(path), self.ours.get(path)

    def found(self, body: dict[str, Any]) -> tuple[Any, Any]:
        theirs, ours = (client.post("/tools/find", json=body) for client in (self.orthanc, self.ours))
        assert (theirs.status_code, ours.status_code) == (200, 200), (theirs.text, ours.text)
        return sorted(theirs.json()), sorted(ours.json())


@pytest.fixture(scope="module")
def both(postgresql: LocalPostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    files = orthanc_files()
    folder = tmp_path_factory.mktemp("both")
    with new_database(postgresql) as theirs, new_database(postgresql) as ours:
        install_database(postgresql.uri(ours))
        with (
            OrthancProcess("orthanc", folder, files, postgresql.uri(theirs), folder / "theirs") as orthanc,
            NodeProcess("node", folder, postgresql.uri(ours), folder / "ours") as node,
            httpx.Client(base_url=orthanc.url, timeout=30, trust_env=False) as their_client,
            httpx.Client(base_url=node.url, timeout=30, trust_env=False) as our_client,
        ):
            yield Both(their_client, our_client, _uploaded(their_client, our_client))


def _uploaded(theirs: httpx.Client, ours: httpx.Client) -> list[dict[str, Any]]:
    stored: dict[str, dict[str, Any]] = {}
    for path in [path for pattern in FILES for path in sorted(DATA.glob(pattern))]:
        answers = [client.post("/instances", content=path.read_bytes()) for client in (theirs, ours)]
        if all(answer.status_code == 200 and answer.json()["Status"] == "Success" for answer in answers):
            assert answers[0].json()["ID"] == answers[1].json()["ID"]
            stored[answers[1].json()["ID"]] = answers[1].json()
        elif answers[0].status_code == 200 and answers[1].status_code != 200:
            theirs.delete(answers[0].json()["Path"])  # files without meta information, which only Orthanc takes
    assert len(stored) > 20
    return list(stored.values())


@pytest.mark.parametrize("route", ["tags", "tags?short", "header", "content", "module"])
def test_tags_of_instances(both: Both, route: str) -> None:
    different = []
    for upload in both.uploads:
        theirs, ours = both.answers(f"{upload['Path']}/{route}")
        assert ours.status_code == theirs.status_code
        different += _differences(upload["ID"], theirs.json(), ours.json())
    assert different == []


def _differences(where: str, theirs: Any, ours: Any) -> list[tuple[str, Any, Any]]:
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return [] if theirs == ours else [(where, theirs, ours)]
    found = []
    for key in sorted(theirs.keys() | ours.keys()):
        private = key[4:5] == "," and int(key[:4], 16) % 2
        if theirs.get(key, "missing") != ours.get(key, "missing") and not private:
            found.append((f"{where} {key}", theirs.get(key, "missing"), ours.get(key, "missing")))
    return found


@pytest.mark.parametrize("level", ["patients", "studies", "series"])
@pytest.mark.parametrize("route", ["module", "shared-tags", "instances-tags?short", "statistics"])
def test_tags_and_sizes_of_other_resources(both: Both, level: str, route: str) -> None:
    field = {"patients": "ParentPatient", "studies": "ParentStudy", "series": "ParentSeries"}[level]
    different = []
    for public_id in sorted({upload[field] for upload in both.uploads}):
        if public_id == NOBODY and route == "module":
            continue  # of several persons, any will do
        theirs, ours = both.answers(f"/{level}/{public_id}/{route}")
        assert ours.status_code == theirs.status_code
        different += _differences(public_id, theirs.json(), ours.json())
    assert different == []


def test_parents_and_children(both: Both) -> None:
    upload = both.uploads[-1]
    for path in (
        f"/patients/{upload['ParentPatient']}/studies",
        f"/patients/{upload['ParentPatient']}/series",
        f"/patients/{upload['ParentPatient']}/instances",
        f"/studies/{upload['ParentStudy']}/instances",
        f"/series/{upload['ParentSeries']}/study",
        f"{upload['Path']}/patient",
    ):
        theirs, ours = (answer.json() for answer in both.answers(path))
        if isinstance(theirs, list):
            assert sorted(found["ID"] for found in theirs) == [found["ID"] for found in ours]
        else:
            assert theirs["ID"] == ours["ID"]


@pytest.mark.parametrize(
    ("highest", "query"),
    [
        ("Patient", {}),
        ("Patient", {"PatientName": "*"}),
        ("Patient", {"PatientName": "citizen*"}),
        ("Patient", {"PatientName": "*^*"}),
        ("Patient", {"PatientID": "98892001"}),
        ("Patient", {"PatientID": "98892001\\1CT1"}),
        ("Study", {"StudyDate": "19970101-20050101"}),
        ("Study", {"StudyDate": "-20010101"}),
        ("Study", {"StudyDescription": "*"}),
        ("Series", {"Modality": "CT\\MR"}),
        ("Series", {"Modality": "C?"}),
        ("Series", {"Manufacturer": "ge*"}),
        ("Instance", {"InstanceNumber": "1"}),
        ("Instance", {"SOPInstanceUID": "1.2.3"}),
        ("Instance", {"Rows": "128"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_case_sensitive", [True, False])
def test_searches(both: Both, highest: str, query: dict[str, str], is_case_sensitive: bool) -> None:
    levels = ("Patient", "Study", "Series", "Instance")
    for level in levels[levels.index(highest) :]:
        theirs, ours = both.found({"Level": level, "Query": query, "CaseSensitive": is_case_sensitive})
        assert ours == theirs, level


def test_lookup(both: Both) -> None:
    for text in ("98892001", "1CT1", "nothing"):
        theirs, ours = (client.post("/tools/lookup", content=text).json() for client in (both.orthanc, both.ours))
        assert theirs == ours


def test_files_of_an_archive(both: Both) -> None:
    """Names of folders are those of 1.13, so only the contents are compared."""
    for public_id in sorted({upload["ParentPatient"] for upload in both.uploads}):
        theirs, ours = both.answers(f"/patients/{public_id}/archive")
        contents = []
        for answer in (theirs, ours):
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                contents.append(sorted(archive.read(name) for name in archive.namelist()))
        assert contents[0] == contents[1]
