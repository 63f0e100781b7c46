"""Rights of modalities and called AE titles: the same requests to a real Orthanc and to our door, the same outcomes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.storescp.conftest import Collector
from tests.support.dicom import data_set, make_file
from tests.support.orthanc import orthanc_files
from tests.support.settings import settings_for
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess
from workers.storescp import StoreScp
from workers.storescu import Association, AssociationRejected
from workers.upper_layer.failures import AssociationEnded

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
HERE, ELSEWHERE = "127.0.0.1", "192.0.2.1"


def entry(aet: str, host: str = HERE, **flags: bool) -> dict[str, Any]:
    return {"AET": aet, "Host": host, "Port": 104, **flags}


MODALITIES = {
    "all": ["ALL", HERE, 104],
    "far": ["FAR", ELSEWHERE, 104, "Generic"],
    "noecho": entry("NOECHO", AllowEcho=False),
    "nostore": entry("NOSTORE", AllowStore=False),
    "twice1": entry("TWICE", AllowStore=False),
    "twice2": entry("TWICE", ELSEWHERE),
    "both1": entry("BOTH", ELSEWHERE),
    "both2": entry("BOTH", "192.0.2.2"),
    "mixed1": entry("MIXED", AllowStore=True),
    "mixed2": entry("MIXED", ELSEWHERE, AllowStore=False),
}
CALLERS = ("ALL", "all", "FAR", "NOECHO", "NOSTORE", "TWICE", "BOTH", "MIXED", "UNKNOWN")
NOBODY = {"DicomAlwaysAllowEcho": False, "DicomAlwaysAllowStore": False}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "nothing for everybody": NOBODY,
    "hosts are checked": NOBODY | {"DicomCheckModalityHost": True},
    "case matters": NOBODY | {"StrictAetComparison": True, "DicomCheckCalledAet": True},
    "echo for everybody": {"DicomAlwaysAllowStore": False, "DicomCheckModalityHost": True},
    "store for everybody": {"DicomAlwaysAllowEcho": False, "DicomCheckCalledAet": True},
}


@pytest.fixture(params=CONFIGURATIONS)
def configuration(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"DicomModalities": MODALITIES, "DicomAet": "ARCHIVE"} | CONFIGURATIONS[request.param]


@pytest.fixture
def orthanc_port(configuration: dict[str, Any], tmp_path: Path) -> Iterator[int]:
    """A plain Orthanc, with its index in SQLite."""
    dicom, http = free_ports(2)
    file = tmp_path / "orthanc.json"
    options = {"DicomPort": dicom, "HttpPort": http, "StorageDirectory": str(tmp_path / "db"), "Plugins": []}
    file.write_text(json.dumps(configuration | options))
    process = ManagedProcess("orthanc", [str(orthanc_files().program), str(file)], log_path=tmp_path / "log")
    process.start()
    process.wait_ready(lambda: answers(dicom), 30)
    try:
        yield dicom
    finally:
        process.kill()  # its data goes with the test


@pytest.fixture
def our_port(configuration: dict[str, Any]) -> Iterator[int]:
    (port,) = free_ports(1)
    scp = StoreScp(settings_for(DicomPort=port, **configuration), Collector(), lambda: True)
    scp.start()
    try:
        yield port
    finally:
        scp.stop()


def associate(port: int, calling: str, called: str = "ARCHIVE") -> Association:
    return Association.request(
        "127.0.0.1",
        port,
        called_aet=called,
        calling_aet=calling,
        contexts=[(CT, [EXPLICIT]), (VERIFICATION, [IMPLICIT])],
        timeout_seconds=10,
    )


def answers(port: int) -> bool:
    try:
        associate(port, "PROBE").release()
    except AssociationRejected:
        return True
    except AssociationEnded:
        return False
    return True


def outcome(port: int, calling: str, service: str, called: str = "ARCHIVE") -> object:
    """A status, the three numbers of a rejection, or how else it ended."""
    try:
        with associate(port, calling, called) as association:
            if service == "echo":
                return association.echo()
            file = make_file(SOPInstanceUID="2.25.7")
            return association.store(CT, "2.25.7", EXPLICIT, data_set(file))
    except AssociationRejected as rejected:
        return rejected.transient, rejected.source, rejected.reason
    except AssociationEnded as ended:
        return type(ended).__name__


def test_the_same_outcomes(orthanc_port: int, our_port: int) -> None:
    questions = [(calling, service, "ARCHIVE") for calling in CALLERS for service in ("echo", "store")]
    questions += [("ALL", "echo", called) for called in ("archive", "OTHER")]

    theirs = {question: outcome(orthanc_port, *question) for question in questions}
    ours = {question: outcome(our_port, *question) for question in questions}

    assert ours == theirs
    assert 0 in theirs.values()
