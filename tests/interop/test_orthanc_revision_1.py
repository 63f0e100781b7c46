"""A database of a real, old Orthanc with real instances in it: to revision 10 and back, with that Orthanc at both ends.

Debian 12's plugin 4.0 writes what calls itself revision 1 and is poorer than that (no table Labels).
"""

import copy
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pydicom.data
import pytest

from tests.support.catalogue import catalogue
from tests.support.nodes import NodeProcess
from tests.support.orthanc import OrthancFiles, OrthancProcess, orthanc_files
from tests.support.servers import new_database, skip_or_fail
from workers.local.children import wait_until
from workers.local.postgresql import LocalPostgreSQL

DATA = Path(pydicom.data.__file__).parent
PROTECTED, EXTENDED = "77654033", "98890234"
"""PatientIDs: one patient is protected, one gets more studies later."""

# Of the files that pydicom ships: character sets of all kinds, two patients with several series, most transfer
# syntaxes, objects without pixels, files without meta information. Some are refused, some are there twice.
BEFORE = (
    "charset_files/chr*.dcm",
    f"test_files/dicomdirtests/{PROTECTED}/*/*",
    "test_files/dicomdirtests/98892001/*/*",
    "test_files/*J2K*.dcm",
    "test_files/JPEG*.dcm",
    "test_files/MR_small_RLE.dcm",
    "test_files/ExplVR_*.dcm",
    "test_files/SC_rgb_dcmtk*.dcm",
    "test_files/image_dfl.dcm",
    "test_files/rtplan.dcm",
    "test_files/test-SR.dcm",
)
# For our node: a study more of a patient, what was deleted of the protected one, a series more, new patients.
BETWEEN = (
    "test_files/dicomdirtests/98892003/MR[12]/*",
    f"test_files/dicomdirtests/{PROTECTED}/*/*",
    "test_files/CT_small.dcm",
    "test_files/SC_rgb_jpeg_gdcm.dcm",
    "test_files/examples_ybr_color.dcm",
)
AFTER = "test_files/waveform_ecg.dcm"
REMARK = "seen by Grüß"


def schema(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers", "schema", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def upgrade_offline(configuration: Path) -> None:
    ended = schema("upgrade", "--offline", "--config", configuration)
    assert ended.returncode == 0, ended.stderr


def upgrade_online(configuration: Path) -> None:
    ended = schema("upgrade", "--config", configuration)
    assert ended.returncode == 0, ended.stderr


def leave_it_to_the_node(configuration: Path) -> None:
    """The first node that starts upgrades."""


WAYS: dict[str, Callable[[Path], None]] = {
    "offline": upgrade_offline,
    "online": upgrade_online,
    "node": leave_it_to_the_node,
}
"""How an index comes to revision 10, after Orthanc has stopped and before a node of ours is ready."""


@dataclass
class Ledger:
    """What was stored and must be there."""

    files: dict[str, bytes] = field(default_factory=dict)
    patients: list[str] = field(default_factory=list)
    """The patient of each stored instance, in the order of storing."""

    def upload(self, client: httpx.Client, *patterns: str) -> None:
        paths = [path for pattern in patterns for path in sorted(DATA.glob(pattern))]
        for content in map(Path.read_bytes, paths):
            answer = client.post("/instances", content=content)
            # pydicom has one instance in several transfer syntaxes, and files that no archive takes.
            if answer.status_code == 200 and answer.json()["Status"] == "Success":
                self.files[answer.json()["ID"]] = content
                self.patients.append(answer.json()["ParentPatient"])

    def recycling_order(self, protected: str) -> list[str]:
        """A new instance puts its patient at the end."""
        latest_first = dict.fromkeys(reversed(self.patients))
        return [patient for patient in reversed(latest_first) if patient != protected]


def connect(server: OrthancProcess | NodeProcess) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=30, trust_env=False)


def get(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.text}"
    return answer.json()


def patient_called(client: httpx.Client, patient_id: str) -> str:
    patients = get(client, "/patients?expand")
    [found] = [patient["ID"] for patient in patients if patient["MainDicomTags"].get("PatientID") == patient_id]
    return found


def resources(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """All levels, without what the REST API has got since and what a node knows only while it runs."""
    ignored = {"IsStable", "IsProtected", "LastUpdate", "Labels"}

    def normal(value: Any) -> Any:
        if isinstance(value, list):
            return sorted(value)  # children had no particular order in old Orthancs
        if isinstance(value, dict):
            # A main DICOM tag that old Orthancs neither store nor show (interop/tags.md).
            return {tag: text for tag, text in value.items() if tag != "TimezoneOffsetFromUTC"}
        return value

    return {
        resource["ID"]: {name: normal(value) for name, value in resource.items() if name not in ignored}
        for level in ("patients", "studies", "series", "instances")
        for resource in get(client, f"/{level}?expand")
    }


def everything(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """Resources, changes and statistics."""
    page = get(client, "/changes?since=0&limit=10000")
    assert page["Done"]
    changes = {f"change {change['Seq']}": change for change in page["Changes"]}
    return resources(client) | changes | {"statistics": get(client, "/statistics")}


def differences(here: dict[str, Any], there: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = here.keys() | there.keys()
    return {key: (here.get(key), there.get(key)) for key in keys if here.get(key) != there.get(key)}


def assert_serves(client: httpx.Client, ledger: Ledger) -> None:
    """Each instance is there once, byte for byte, and the statistics are those of what is there."""
    assert sorted(get(client, "/instances")) == sorted(ledger.files)
    for instance, content in ledger.files.items():
        assert client.get(f"/instances/{instance}/file").content == content, instance
    statistics = get(client, "/statistics")
    levels = Counter(resource["Type"] for resource in resources(client).values())
    names = {"Patient": "Patients", "Study": "Studies", "Series": "Series", "Instance": "Instances"}
    assert {level: statistics[f"Count{name}"] for level, name in names.items()} == levels
    assert statistics["TotalDiskSize"] == str(sum(map(len, ledger.files.values())))


def revision(database: psycopg.Connection) -> str:
    return database.execute("SELECT value FROM GlobalProperties WHERE property = 4").fetchone()[0]


def recycling_order(database: psycopg.Connection) -> list[str]:
    """interop/schema.md 7, "Recycling data"."""
    queries = {
        "1": "SELECT publicId FROM PatientRecyclingOrder JOIN Resources ON internalId = patientId ORDER BY seq",
        "10": """SELECT publicId FROM Resources JOIN Metadata place ON place.id = internalId AND place.type = 19
                  WHERE NOT EXISTS (SELECT FROM Metadata WHERE id = internalId AND type = 18 AND value = 'true')
                  ORDER BY place.value::integer""",
    }
    return [patient for (patient,) in database.execute(queries[revision(database)])]


def files_without_row_and_rows_without_file(database: psycopg.Connection, storage_directory: Path) -> set[str]:
    on_disk = {path.name for path in storage_directory.glob("??/??/*")}
    return on_disk ^ {uuid for (uuid,) in database.execute("SELECT uuid FROM AttachedFiles")}


@dataclass(frozen=True)
class Archive:
    """What a real Orthanc left behind, stopped; `before` is what it said of it."""

    database: str
    storage_directory: Path
    ledger: Ledger
    protected: str
    extended: str
    study: str
    deleted: str
    before: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def files() -> OrthancFiles:
    return orthanc_files()


@pytest.fixture(scope="module")
def original(
    files: OrthancFiles, postgresql: LocalPostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """What Orthanc received, protected, annotated and deleted; for `archive` to copy."""
    folder = tmp_path_factory.mktemp("original")
    storage_directory = folder / "OrthancStorage"
    storage_directory.mkdir()
    ledger = Ledger()
    with new_database(postgresql) as name:
        orthanc = OrthancProcess("orthanc", folder, files, postgresql.uri(name), storage_directory)
        with orthanc, connect(orthanc) as client:
            ledger.upload(client, *BEFORE)
            assert len(ledger.files) > 40
            protected, extended = patient_called(client, PROTECTED), patient_called(client, EXTENDED)
            client.put(f"/patients/{protected}/protected", content="1").raise_for_status()
            [study] = get(client, f"/patients/{extended}")["Studies"]
            client.put(f"/studies/{study}/metadata/1024", content=REMARK.encode()).raise_for_status()
            deleted = get(client, f"/patients/{protected}/instances")[0]["ID"]
            client.delete(f"/instances/{deleted}").raise_for_status()
            del ledger.files[deleted]
            assert_serves(client, ledger)
            before = everything(client)
        with psycopg.connect(postgresql.uri(name)) as connection:
            if revision(connection) != "1":
                skip_or_fail("orthanc", "An Orthanc that writes revision 1")
            assert recycling_order(connection) == ledger.recycling_order(protected)
        yield Archive(name, storage_directory, ledger, protected, extended, study, deleted, before)


@pytest.fixture
def archive(original: Archive, postgresql: LocalPostgreSQL, storage_directory: Path) -> Iterator[Archive]:
    """A copy of its own for each test."""
    shutil.copytree(original.storage_directory, storage_directory, dirs_exist_ok=True)
    with new_database(postgresql, original.database) as name:
        yield replace(
            original, database=name, storage_directory=storage_directory, ledger=copy.deepcopy(original.ledger)
        )


@pytest.fixture
def uri(archive: Archive, postgresql: LocalPostgreSQL) -> str:
    return postgresql.uri(archive.database)


@pytest.fixture
def database(uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(uri, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("way", WAYS)
def test_instances_of_a_real_orthanc_go_to_revision_10_and_back(
    way: str, files: OrthancFiles, archive: Archive, uri: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    # Given an index of a real Orthanc
    orthanc = OrthancProcess("orthanc", tmp_path, files, uri, archive.storage_directory)
    node = NodeProcess("node", tmp_path, uri, archive.storage_directory)
    ledger, protected = archive.ledger, archive.protected
    known = set(ledger.files)

    # When it is upgraded and a node of ours starts on it
    WAYS[way](orthanc.configuration)
    with node, connect(node) as client:
        # Then it serves everything as it was
        assert revision(database) == "10"
        assert_serves(client, ledger)
        assert differences(everything(client), archive.before) == {}
        # and no patient is recycled earlier than before (a node may go on with that while it serves)
        wait_until(lambda: recycling_order(database) == ledger.recycling_order(protected), 30)
        assert recycling_order(database) == ledger.recycling_order(protected)
        marked = "SELECT publicId, type, value FROM Metadata JOIN Resources ON internalId = id WHERE type IN (18, 1024)"
        assert set(database.execute(marked)) == {(protected, 18, "true"), (archive.study, 1024, REMARK)}
        assert get(client, f"/patients/{protected}")["IsProtected"]
        # and receives more
        ledger.upload(client, *BETWEEN)
        assert archive.deleted in ledger.files
        assert len(ledger.files) - len(known) > 10
        assert_serves(client, ledger)
        assert recycling_order(database) == ledger.recycling_order(protected)
        before = everything(client)

    # When the index goes back to what that Orthanc can serve
    ended = schema("downgrade", "--to", "1", "--config", orthanc.configuration)
    assert ended.returncode == 0, ended.stderr
    assert revision(database) == "1"
    assert recycling_order(database) == ledger.recycling_order(protected)
    with orthanc, connect(orthanc) as client:
        # Then it serves everything, old and new
        assert_serves(client, ledger)
        assert differences(everything(client), before) == {}
        for instance in ledger.files:
            client.post(f"/instances/{instance}/attachments/dicom/verify-md5").raise_for_status()
            assert get(client, f"/instances/{instance}/simplified-tags")["SOPInstanceUID"]
        assert client.get(f"/patients/{protected}/protected").text == "1"
        assert client.get(f"/studies/{archive.study}/metadata/1024").content.decode() == REMARK
        # and goes on: receives, and deletes a study that our node stored
        ledger.upload(client, AFTER)
        added = min(set(get(client, f"/patients/{archive.extended}")["Studies"]) - {archive.study})
        gone = {instance["ID"] for instance in get(client, f"/studies/{added}/instances")}
        assert gone
        assert not gone & known
        client.delete(f"/studies/{added}").raise_for_status()
        ledger.files = {instance: content for instance, content in ledger.files.items() if instance not in gone}
        assert_serves(client, ledger)
        assert recycling_order(database) == ledger.recycling_order(protected)
    assert files_without_row_and_rows_without_file(database, archive.storage_directory) == set()


def test_an_offline_upgrade_refuses_beside_an_orthanc_with_lock(
    files: OrthancFiles, archive: Archive, uri: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    # Given an Orthanc that holds the database for itself
    orthanc = OrthancProcess("orthanc", tmp_path, files, uri, archive.storage_directory, lock=True)
    with orthanc, connect(orthanc) as client:
        before = catalogue(database)

        # When somebody upgrades the index
        ended = schema("upgrade", "--offline", "--config", orthanc.configuration)

        # Then the message names what is in the way, and nothing was changed
        assert ended.returncode == 3
        assert '"Lock"' in ended.stderr
        assert catalogue(database) - before == {}
        assert database.execute("SELECT to_regnamespace('cluster')").fetchone() == (None,)
        assert differences(everything(client), archive.before) == {}
        archive.ledger.upload(client, AFTER)
        assert_serves(client, archive.ledger)

    # When Orthanc has stopped, then the same command does it
    upgrade_offline(orthanc.configuration)
    assert revision(database) == "10"
