"""Labels and protection, against interop/rest.md 5."""

from typing import Any

import pytest

from tests.integration.http.conftest import Door
from tests.support.dicom import make_file


@pytest.fixture
def stored(door: Door) -> dict[str, Any]:
    answer: dict[str, Any] = door.post(make_file()).json()
    return answer


def test_labels(door: Door, stored: dict[str, Any]) -> None:
    study, series = f"/studies/{stored['ParentStudy']}", f"/series/{stored['ParentSeries']}"
    assert door.client.get(f"{study}/labels").json() == []
    assert door.client.get("/tools/labels").json() == []
    for label in ("b", "a", "Z-_9", "b"):
        answer = door.client.put(f"{study}/labels/{label}")
        assert (answer.status_code, answer.content) == (200, b"")
    assert door.client.put(f"{series}/labels/c").status_code == 200
    assert door.client.get(f"{study}/labels").json() == ["Z-_9", "a", "b"]
    assert door.client.get(study).json()["Labels"] == ["Z-_9", "a", "b"]
    assert door.client.get("/tools/labels").json() == ["Z-_9", "a", "b", "c"]
    answer = door.client.get(f"{study}/labels/a")
    assert (answer.status_code, answer.content) == (200, b"")
    for _ in range(2):
        assert door.client.delete(f"{study}/labels/a").status_code == 200
    assert door.client.get(f"{study}/labels/a").status_code == 404
    assert door.client.get(f"{study}/labels").json() == ["Z-_9", "b"]
    assert not door.client.get("/changes?type=UpdatedMetadata").json()["Changes"]


@pytest.mark.parametrize("label", ["a b", "a.b", "ä", "x" * 65, "a';--", "a%0a"])
def test_what_is_no_label(door: Door, stored: dict[str, Any], label: str) -> None:
    path = f"{stored['Path']}/labels/{label}"
    assert door.client.put(path).status_code == 400
    assert door.client.delete(path).status_code == 400
    assert door.client.get(path).status_code == 404


def test_unknown_resources(door: Door, stored: dict[str, Any]) -> None:
    for path in ("/instances/unknown", f"/studies/{stored['ID']}"):
        assert door.client.get(f"{path}/labels").status_code == 404
        for method in ("GET", "PUT", "DELETE"):
            assert door.client.request(method, f"{path}/labels/a").status_code == 404
    assert door.client.put(f"{stored['Path']}/labels/a", content=b"x" * 5000).status_code == 413


def test_protection(door: Door, stored: dict[str, Any], index: str) -> None:
    patient = f"/patients/{stored['ParentPatient']}"
    assert door.client.get(f"{patient}/protected").text == "0"
    for body, expected in (("1", "1"), ("0", "0"), ("true", "1"), ("false", "0"), ("1", "1"), ("1", "1")):
        answer = door.client.put(f"{patient}/protected", content=body)
        assert (answer.status_code, answer.content) == (200, b"")
        assert door.client.get(f"{patient}/protected").text == expected
    assert door.client.get(patient).json()["IsProtected"] is True
    if index == "postgresql":  # where it is a metadata
        assert door.client.get(f"{patient}/metadata/IsProtected").text == "true"
    for body in ("", "2", "yes", "TRUE", "[1]"):
        assert door.client.put(f"{patient}/protected", content=body).status_code == 400
    assert door.client.put("/patients/unknown/protected", content="1").status_code == 404
    assert door.client.get("/patients/unknown/protected").status_code == 404
    assert door.client.put(f"/studies/{stored['ParentStudy']}/protected", content="1").status_code == 404
