"""Small routes, against interop/rest.md 2, 7 and 11."""

import re
from datetime import UTC, datetime

from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import INSTANCE, connect


def test_now(door: Door) -> None:
    answer = door.client.get("/tools/now")
    assert answer.headers["content-type"].startswith("text/plain")
    now = datetime.strptime(answer.text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - now).total_seconds()) < 10
    assert re.fullmatch(r"[0-9]{8}T[0-9]{6}", door.client.get("/tools/now-local").text)


def test_metrics(door: Door) -> None:
    door.post(make_file())
    lines = dict(line.split(" ", 1) for line in door.client.get("/tools/metrics-prometheus").text.splitlines())
    assert lines["orthanc_count_instances"].split(" ")[0] == "1"
    assert int(lines["orthanc_last_change"].split(" ")[0]) > 0
    assert lines["orthanc_jobs_running"].split(" ")[0] == "0"


def test_dicom_conformance(door: Door) -> None:
    assert "1.2.840.10008.5.1.4.1.1.2\n" in door.client.get("/tools/dicom-conformance").text


def test_exports(door: Door, index: str, index_uri: str) -> None:
    assert door.client.get("/exports").json() == {"Done": True, "Exports": [], "Last": 0}
    assert door.client.get("/exports?last").json() == {"Done": True, "Exports": [], "Last": 0}
    with connect(index_uri) as connection:
        for number in range(3):
            connection.execute(
                "INSERT INTO ExportedResources (resourceType, publicId, remoteModality, patientId, studyInstanceUid,"
                " seriesInstanceUid, sopInstanceUid, date) VALUES (%s, %s, 'PACS', 'P', '1', '2', '3', %s)",
                (INSTANCE[index], f"id{number}", "20260101T000000"),
            )
    page = door.client.get("/exports?limit=2").json()
    assert page["Exports"][0] == {
        "Date": "20260101T000000",
        "ID": "id0",
        "Path": "/instances/id0",
        "PatientID": "P",
        "RemoteModality": "PACS",
        "ResourceType": "Instance",
        "SOPInstanceUID": "3",
        "Seq": 1,
        "SeriesInstanceUID": "2",
        "StudyInstanceUID": "1",
    }
    assert (page["Done"], page["Last"]) == (False, 2)
    page = door.client.get("/exports?since=2").json()
    assert ([export["ID"] for export in page["Exports"]], page["Done"], page["Last"]) == (["id2"], True, 3)
    assert door.client.get("/exports?last").json()["Exports"][0]["Seq"] == 3
    assert door.client.get("/exports?since=x&limit=1").json()["Done"] is True


def test_a_reset_is_refused_unless_it_is_allowed(door: Door) -> None:
    answer = door.client.post("/tools/reset")
    assert answer.status_code == 403
    assert "Cluster.AllowReset is false" in answer.json()["Details"]


def test_deleted_exports_do_not_turn_the_log_back(door: Door, index: str, index_uri: str) -> None:
    insert = (
        "INSERT INTO ExportedResources (resourceType, publicId, remoteModality, date)"
        f" VALUES ({INSTANCE[index]}, 'x', 'pacs', '20260131T120000') RETURNING seq"
    )
    with connect(index_uri) as connection:
        [first] = connection.execute(insert)
        assert door.client.delete("/exports").content == b""
        assert door.client.get(f"/exports?since={first[0]}").json() == {"Done": True, "Exports": [], "Last": first[0]}
        [second] = connection.execute(insert)
    assert second > first
    assert [export["Seq"] for export in door.client.get("/exports").json()["Exports"]] == [second[0]]
