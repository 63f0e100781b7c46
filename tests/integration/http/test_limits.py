"""MaximumStorageSize, MaximumPatientCount and MaximumStorageMode, against interop/ingest.md 6."""

from typing import Any

import httpx
import psycopg
import pytest

from cluster.ingest.removal import remove_files
from tests.integration.http.conftest import Door, OpenDoor
from tests.support.dicom import make_file
from tests.support.indices import connect
from tests.support.invariants import assert_exact, rows_and_files

MEGABYTE = 1024 * 1024


def post(door: Door, patient: int, instance: int = 1, kilobytes: int = 0) -> httpx.Response:
    return door.post(
        make_file(
            PatientID=f"P{patient}",
            StudyInstanceUID=f"2.25.{patient}",
            SeriesInstanceUID=f"2.25.{patient}.1",
            SOPInstanceUID=f"2.25.{patient}.1.{instance}",
            PixelData=bytes(kilobytes * 1024 or 128),
        )
    )


def patients(door: Door) -> list[str]:
    return sorted(patient["MainDicomTags"]["PatientID"] for patient in door.client.get("/patients?expand").json())


@pytest.fixture
def connection(index_uri: str):
    with connect(index_uri) as connection:
        yield connection


def assert_whole(door: Door, connection: psycopg.Connection) -> None:
    remove_files(door.intake.database, door.intake.storage)
    rows, files = rows_and_files(connection, door.storage_directory)
    assert rows == files
    assert_exact(connection)


def test_the_patient_that_was_quiet_longest_goes(open_door: OpenDoor, connection: psycopg.Connection) -> None:
    door = open_door(MaximumPatientCount=3)
    for patient in (1, 2, 3):
        assert post(door, patient).json()["Status"] == "Success"
    post(door, 1, instance=2)  # moves to the end of the queue
    post(door, 2, instance=1)  # is there already, and moves nothing
    post(door, 4)
    assert patients(door) == ["P1", "P3", "P4"]
    post(door, 5)
    assert patients(door) == ["P1", "P4", "P5"]
    assert_whole(door, connection)


def test_protected_patients_stay(open_door: OpenDoor, connection: psycopg.Connection) -> None:
    door = open_door(MaximumPatientCount=2)
    for patient in (1, 2):
        path = f"/patients/{post(door, patient).json()['ParentPatient']}/protected"
        assert door.client.put(path, content="1").status_code == 200
    answer = post(door, 3)
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (507, 19)
    assert patients(door) == ["P1", "P2"]
    assert post(door, 1, instance=2).status_code == 200
    door.client.put(path, content="0")
    assert post(door, 3).status_code == 200
    assert patients(door) == ["P1", "P3"]
    assert_whole(door, connection)


@pytest.mark.parametrize("was_protected", [True, False])
def test_unprotecting_moves_to_the_end_of_the_queue(open_door: OpenDoor, was_protected: bool) -> None:
    door = open_door(MaximumPatientCount=2)
    path = f"/patients/{post(door, 1).json()['ParentPatient']}/protected"
    post(door, 2)
    for body in "10" if was_protected else "0":
        assert door.client.put(path, content=body).status_code == 200
    post(door, 3)
    assert patients(door) == ["P1", "P3"]


def test_size(open_door: OpenDoor, connection: psycopg.Connection) -> None:
    door = open_door(MaximumStorageSize=1)
    for patient in (1, 2, 3):
        assert post(door, patient, kilobytes=300).status_code == 200
    assert post(door, 4, kilobytes=300).status_code == 200
    assert patients(door) == ["P2", "P3", "P4"]
    # As much room as it takes, by more than one patient
    assert post(door, 5, kilobytes=700).status_code == 200
    assert patients(door) == ["P4", "P5"]
    assert int(door.client.get("/statistics").json()["TotalDiskSize"]) <= MEGABYTE
    # What never fits, and what only fits without the rest of the same patient
    assert post(door, 6, kilobytes=1100).status_code == 507
    assert post(door, 5, instance=2, kilobytes=700).status_code == 507
    assert_whole(door, connection)


def test_reject(open_door: OpenDoor, connection: psycopg.Connection) -> None:
    door = open_door(MaximumPatientCount=1, MaximumStorageSize=1, MaximumStorageMode="Reject")
    assert post(door, 1).status_code == 200
    assert post(door, 2).status_code == 507
    assert post(door, 1, instance=2, kilobytes=1100).status_code == 507
    assert post(door, 1, instance=2, kilobytes=900).status_code == 200
    # What is stored already needs no room.
    assert post(door, 1, instance=2, kilobytes=900).json()["Status"] == "AlreadyStored"
    assert patients(door) == ["P1"]
    system = door.client.get("/system").json()
    assert (system["MaximumPatientCount"], system["MaximumStorageSize"], system["MaximumStorageMode"]) == (
        1,
        1,
        "Reject",
    )
    assert_whole(door, connection)


@pytest.mark.parametrize("overwrite", ["Always", "IfChanged"])
def test_overwriting_frees_what_goes(open_door: OpenDoor, connection: psycopg.Connection, overwrite: str) -> None:
    door = open_door(MaximumStorageSize=1, MaximumStorageMode="Reject", OverwriteInstances=overwrite)
    assert post(door, 1, kilobytes=700).status_code == 200
    assert post(door, 1, kilobytes=800).json()["Status"] == "Success"
    assert post(door, 1, kilobytes=1100).status_code == 507
    status = post(door, 1, kilobytes=800).json()["Status"]
    assert status == ("Success" if overwrite == "Always" else "AlreadyStored")
    assert_whole(door, connection)


def test_attachments_need_room_too(open_door: OpenDoor, connection: psycopg.Connection) -> None:
    door = open_door(MaximumStorageSize=1)
    post(door, 1, kilobytes=300)
    stored: dict[str, Any] = post(door, 2, kilobytes=300).json()
    path = f"{stored['Path']}/attachments/1024"
    assert door.client.put(path, content=bytes(600 * 1024)).status_code == 200
    assert patients(door) == ["P2"]
    assert (
        door.client.put(f"/series/{stored['ParentSeries']}/attachments/1024", content=bytes(MEGABYTE)).status_code
        == 507
    )
    assert patients(door) == ["P2"]
    assert_whole(door, connection)


def test_a_limit_below_what_is_there_takes_nothing_before_something_comes(
    open_door: OpenDoor, connection: psycopg.Connection
) -> None:
    door = open_door()
    for patient in (1, 2, 3):
        post(door, patient)
    limited = open_door(MaximumPatientCount=1, MaximumStorageMode="Reject")
    assert post(limited, 1).json()["Status"] == "AlreadyStored"
    assert post(limited, 1, instance=2).status_code == 507
    assert patients(door) == ["P1", "P2", "P3"]
    recycling = open_door(MaximumPatientCount=1)
    assert post(recycling, 1, instance=2).status_code == 200
    assert patients(door) == ["P1"]
    assert_whole(door, connection)
