"""DELETE and bulk-delete, against interop/rest.md 3 and interop/ingest.md 11."""

import time
from typing import Any

import psycopg
import pytest

from cluster.ingest.removal import remove_files
from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import LONG_AGO, connect
from tests.support.invariants import assert_exact, rows_and_files


def upload(door: Door, patient: str = "P1", study: int = 1, series: int = 1, instance: int = 1) -> dict[str, Any]:
    answer = door.post(
        make_file(
            PatientID=patient,
            StudyInstanceUID=f"2.25.{study}",
            SeriesInstanceUID=f"2.25.{study}.{series}",
            SOPInstanceUID=f"2.25.{study}.{series}.{instance}",
            InstanceNumber=instance,
        )
    )
    assert answer.status_code == 200
    return answer.json()


def remove_all_files(door: Door) -> int:
    return remove_files(door.intake.database, door.intake.storage)


@pytest.fixture
def connection(index_uri: str):
    with connect(index_uri) as connection:
        yield connection


def test_an_instance_with_siblings(door: Door, connection: psycopg.Connection) -> None:
    first, second = upload(door), upload(door, instance=2)
    connection.execute("UPDATE Metadata SET value = '20000101T000000' WHERE type = 7")
    answer = door.client.delete(first["Path"])
    series = first["ParentSeries"]
    assert answer.json() == {"RemainingAncestor": {"ID": series, "Path": f"/series/{series}", "Type": "Series"}}
    assert door.client.get("/instances").json() == [second["ID"]]
    # The ancestors have changed.
    for path in (f"/series/{series}", f"/studies/{first['ParentStudy']}", f"/patients/{first['ParentPatient']}"):
        assert door.client.get(path).json()["LastUpdate"] > "2020"
    assert door.client.delete(first["Path"]).status_code == 404
    assert_exact(connection)


@pytest.mark.parametrize("level", ["instances", "series", "studies", "patients"])
def test_the_last_one_takes_its_ancestors_along(door: Door, connection: psycopg.Connection, level: str) -> None:
    answer = upload(door)
    ids = {
        "instances": answer["ID"],
        "series": answer["ParentSeries"],
        "studies": answer["ParentStudy"],
        "patients": answer["ParentPatient"],
    }
    assert door.client.delete(f"/{level}/{ids[level]}").json() == {"RemainingAncestor": None}
    for other in ids:
        assert door.client.get(f"/{other}").json() == []
    assert connection.execute("SELECT count(*) FROM Changes").fetchone() == (0,)
    assert_exact(connection)


def test_only_the_direct_parent_is_a_remaining_ancestor(door: Door, connection: psycopg.Connection) -> None:
    upload(door)
    alone = upload(door, series=2)
    connection.execute("UPDATE Metadata SET value = '20000101T000000' WHERE type = 7")
    assert door.client.delete(alone["Path"]).json() == {"RemainingAncestor": None}
    # The study remains, and Orthanc does not say so, nor touch it.
    assert door.client.get(f"/studies/{alone['ParentStudy']}").json()["LastUpdate"] == "20000101T000000"
    assert len(door.client.get("/series").json()) == 1
    assert_exact(connection)


def test_files_go_after_the_answer_and_only_those(door: Door, connection: psycopg.Connection) -> None:
    for instance in range(5):
        upload(door, instance=instance)
    other = upload(door, study=2)
    study = door.client.get("/studies?expand").json()
    gone = next(found["ID"] for found in study if found["ID"] != other["ParentStudy"])
    answer = door.client.delete(f"/studies/{gone}").json()
    assert answer["RemainingAncestor"]["Type"] == "Patient"
    assert len(door.files()) == 6
    assert remove_all_files(door) == 5
    rows, files = rows_and_files(connection, door.storage_directory)
    assert rows == files
    assert len(files) == 1
    assert remove_all_files(door) == 0


def test_a_file_that_cannot_be_removed_is_tried_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.index.removals.claim_removals.__defaults__", (0.05,))
    answer = upload(door)
    door.client.delete(answer["Path"])
    [file] = door.files()
    folder = file.parent
    content = file.read_bytes()
    file.unlink()
    file.mkdir()  # nothing unlinks a folder, whoever one is
    (file / "x").write_bytes(content)
    assert remove_all_files(door) == 0
    (file / "x").unlink()
    file.rmdir()
    file.write_bytes(content)
    time.sleep(0.1)
    assert remove_all_files(door) == 1
    assert not folder.exists()


def test_what_is_removed_is_remembered_for_a_while(door: Door, connection: psycopg.Connection, index: str) -> None:
    door.client.delete(upload(door)["Path"])
    remove_all_files(door)
    assert connection.execute("SELECT count(*) FROM cluster.removed_attachments").fetchone() == (1,)
    connection.execute("UPDATE cluster.removed_attachments SET file_gone_at = %s", (LONG_AGO[index],))
    remove_all_files(door)
    assert connection.execute("SELECT count(*) FROM cluster.removed_attachments").fetchone() == (0,)


def test_bulk(door: Door, connection: psycopg.Connection) -> None:
    first, second, third = (upload(door, instance=number) for number in (1, 2, 3))
    other = upload(door, study=2)
    kept = upload(door, patient="P2", study=3)
    answer = door.client.post(
        "/tools/bulk-delete",
        json={
            "Resources": [
                first["ID"],
                "unknown",
                {"Level": "Instance", "ID": second["ID"]},
                third["ParentSeries"],
                {"Level": "Study", "ID": other["ParentStudy"]},
                {"Level": "Patient", "ID": "unknown"},
            ]
        },
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert door.client.get("/instances").json() == [kept["ID"]]
    assert door.client.get("/patients").json() == [kept["ParentPatient"]]
    assert_exact(connection)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"Resources": "x"}',
        '{"Resources": [1]}',
        '{"Resources": [null]}',
        '{"Resources": [{"ID": "x"}]}',
        '{"Resources": [{"Level": "Study"}]}',
        '{"Resources": [{"Level": "Room", "ID": "x"}]}',
        '{"Resources": ["\\u0000"]}',
        '{"Resources": ["\\ud800"]}',
    ],
)
def test_bulk_with_a_bad_body(door: Door, body: str) -> None:
    upload(door)
    answer = door.client.post("/tools/bulk-delete", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.json()["HttpStatus"] == 400
    assert len(door.client.get("/instances").json()) == 1


def test_a_body_that_is_too_large(door: Door) -> None:
    answer = door.client.post("/tools/bulk-delete", content=b" " * (5 * 1024 * 1024))
    assert answer.status_code == 413


def test_unknown_ids_and_wrong_levels(door: Door) -> None:
    stored = upload(door)
    for path in (
        "/instances/unknown",
        f"/studies/{stored['ID']}",
        "/series/%00",
        "/patients/';DROP TABLE Resources;--",
    ):
        assert door.client.delete(path).status_code == 404
    assert door.client.get("/instances").json() == [stored["ID"]]
    assert door.client.delete("/instances").status_code == 405


def test_a_node_that_is_not_ready(door: Door) -> None:
    path = upload(door)["Path"]
    door.reason = "waiting"
    assert door.client.delete(path).status_code == 503
    assert door.client.post("/tools/bulk-delete", json={"Resources": []}).status_code == 503


def test_what_was_deleted_can_be_stored_again(door: Door, connection: psycopg.Connection) -> None:
    path = upload(door)["Path"]
    door.client.delete(path)
    assert upload(door)["Status"] == "Success"
    remove_all_files(door)
    rows, files = rows_and_files(connection, door.storage_directory)
    assert rows == files
    assert len(rows) == 1
    assert_exact(connection)
