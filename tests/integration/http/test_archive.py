"""ZIP archives, against interop/rest.md 6."""

import io
import zipfile
from typing import Any

import pytest

from cluster.index.archive import file_name, folder_name
from tests.integration.http.conftest import Door, OpenDoor
from tests.integration.http.test_upload import MEGABYTE, forget_memory_peak, large_file, memory_peak_bytes
from tests.support.dicom import make_file


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(set(names)) == len(names)
        return {name: archive.read(name) for name in names}


@pytest.fixture
def files() -> list[bytes]:
    return [
        make_file(
            SpecificCharacterSet="ISO_IR 192",
            PatientName="Müller^Jörg",
            SeriesInstanceUID=f"2.25.1.{series}",
            SeriesNumber=series,
            SeriesDescription="T1/..",
            InstanceNumber=number,
        )
        for series, number in ((1, 1), (1, 2), (2, 7))
    ]


@pytest.fixture
def stored(door: Door, files: list[bytes]) -> list[dict[str, Any]]:
    return [door.post(file).json() for file in files]


def test_a_patient(door: Door, stored: list[dict[str, Any]], files: list[bytes]) -> None:
    answer = door.client.get(f"/patients/{stored[0]['ParentPatient']}/archive")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{stored[0]["ParentPatient"]}.zip"'
    assert unzipped(answer.content) == {
        "P1 - Mller Jrg/A1 - Head/1 - CT - T1../CT000001.dcm": files[0],
        "P1 - Mller Jrg/A1 - Head/1 - CT - T1../CT000002.dcm": files[1],
        "P1 - Mller Jrg/A1 - Head/2 - CT - T1../CT000007.dcm": files[2],
    }


def test_less_than_a_patient(door: Door, stored: list[dict[str, Any]], files: list[bytes]) -> None:
    for path, expected in (
        (f"/studies/{stored[0]['ParentStudy']}", files),
        (f"/series/{stored[0]['ParentSeries']}", files[:2]),
        (f"/series/{stored[2]['ParentSeries']}", files[2:]),
    ):
        assert list(unzipped(door.client.get(f"{path}/archive?filename=x.zip").content).values()) == expected
        assert list(unzipped(door.client.post(f"{path}/archive", json={}).content).values()) == expected


def test_any_resources(door: Door, stored: list[dict[str, Any]], files: list[bytes]) -> None:
    for ids, expected in (
        ([stored[0]["ID"], stored[2]["ID"]], [files[0], files[2]]),
        ([stored[0]["ID"], stored[0]["ParentSeries"]], files[:2]),
        ([stored[1]["ID"], stored[0]["ParentPatient"]], files),
        ([], []),
    ):
        for answer in (
            door.client.post("/tools/create-archive", json=ids),
            door.client.post("/tools/create-archive", json={"Resources": ids, "Synchronous": True}),
            door.client.get("/tools/create-archive", params={"resources": ",".join(ids)}),
        ):
            assert sorted(unzipped(answer.content).values()) == sorted(expected)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_many_pages(
    door: Door, stored: list[dict[str, Any]], files: list[bytes], monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("cluster.index.archive.FILES_PER_PAGE", page)
    answer = door.client.get(f"/studies/{stored[0]['ParentStudy']}/archive")
    assert list(unzipped(answer.content).values()) == files


def test_numbers_that_do_not_tell_instances_apart(door: Door) -> None:
    stored = [door.post(make_file(InstanceNumber=number)).json() for number in (5, 5)]
    names = unzipped(door.client.get(f"/series/{stored[0]['ParentSeries']}/archive").content)
    assert [name.rpartition("/")[2] for name in names] == ["CT000000.dcm", "CT000001.dcm"]


def test_folders_of_one_name_are_kept_apart(door: Door) -> None:
    for study in "12":
        stored = door.post(make_file(StudyInstanceUID=f"2.25.{study}", SeriesInstanceUID=f"2.25.{study}.1")).json()
    names = unzipped(door.client.get(f"/patients/{stored['ParentPatient']}/archive").content)
    assert sorted(name.split("/")[1] for name in names) == ["A1 - Head", "A1 - Head-2"]


def test_names() -> None:
    assert folder_name("Patient", ["A/../B", "../..\\x"]) == "A..B - ....x"
    assert folder_name("Patient", ["", "^^^"]) == "Unknown Patient"
    assert folder_name("Study", ["..", None]) == "Unknown Study"
    assert file_name("ct", 3) == "CT000003.dcm"
    assert file_name("X", 3) == "X0000003.dcm"
    assert file_name("", 3) == "00000003.dcm"
    assert file_name("MR", 12345678) == "MR12345678.dcm"


def test_what_is_lost_ends_the_archive_with_an_error(door: Door, stored: list[dict[str, Any]]) -> None:
    for file in door.files():
        file.unlink()
    assert door.client.get(f"/studies/{stored[0]['ParentStudy']}/archive").status_code == 404


def test_an_archive_never_is_in_memory(open_door: OpenDoor) -> None:
    door = open_door(SyncStorageArea=False)
    size = 192 * MEGABYTE
    stored = door.post(large_file(size)).json()
    door.client.get(f"/series/{door.post(make_file()).json()['ParentSeries']}/archive")  # everything is imported
    forget_memory_peak()
    before = memory_peak_bytes()
    with door.client.stream("GET", f"/studies/{stored['ParentStudy']}/archive") as download:
        received = sum(len(piece) for piece in download.iter_bytes(MEGABYTE))
    assert received > 0
    assert memory_peak_bytes() - before < 48 * MEGABYTE
