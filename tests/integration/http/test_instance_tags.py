"""Tags read from files, against interop/rest.md 4."""

import struct
import zlib
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import connect


@pytest.fixture
def stored(door: Door) -> dict[str, Any]:
    item = Dataset()
    item.CodeValue = "T-1"
    private = Dataset()
    answer: dict[str, Any] = door.post(
        make_file(
            SpecificCharacterSet="ISO_IR 192",
            PatientName="Müller^Jörg",
            ImageComments="x" * 300,
            ProcedureCodeSequence=[item, private],
            ImagePositionPatient=["1", "2", "3.50"],
        )
    ).json()
    return answer


def test_tags(door: Door, stored: dict[str, Any]) -> None:
    tags = door.client.get(f"{stored['Path']}/tags").json()
    assert tags["0010,0010"] == {"Name": "PatientName", "Type": "String", "Value": "Müller^Jörg"}
    assert tags["0020,4000"] == {"Name": "ImageComments", "Type": "TooLong", "Value": None}
    assert tags["7fe0,0010"] == {"Name": "PixelData", "Type": "Null", "Value": None}
    assert tags["0028,0010"] == {"Name": "Rows", "Type": "String", "Value": "8"}
    assert tags["0020,0032"]["Value"] == "1\\2\\3.50"
    assert tags["0008,1032"] == {
        "Name": "ProcedureCodeSequence",
        "Type": "Sequence",
        "Value": [{"0008,0100": {"Name": "CodeValue", "Type": "String", "Value": "T-1"}}, {}],
    }
    assert "0002,0010" not in tags


def test_forms(door: Door, stored: dict[str, Any]) -> None:
    simplified = door.client.get(f"{stored['Path']}/simplified-tags").json()
    assert simplified == door.client.get(f"{stored['Path']}/tags?simplify").json()
    assert simplified["PatientName"] == "Müller^Jörg"
    assert simplified["PixelData"] is None
    assert simplified["ProcedureCodeSequence"] == [{"CodeValue": "T-1"}, {}]
    short = door.client.get(f"{stored['Path']}/tags?short").json()
    assert short["0010,0010"] == "Müller^Jörg"
    assert short["0008,1032"] == [{"0008,0100": "T-1"}, {}]


def test_ignore_length(door: Door, stored: dict[str, Any]) -> None:
    tags = door.client.get(f"{stored['Path']}/tags?ignore-length=0020-4000&short").json()
    assert tags["0020,4000"] == "x" * 300


def test_private_tags(door: Door) -> None:
    from io import BytesIO

    import pydicom

    dataset = pydicom.dcmread(BytesIO(make_file()))
    block = dataset.private_block(0x0009, "ACME", create=True)
    block.add_new(0x01, "LO", "secret")
    stream = BytesIO()
    dataset.save_as(stream)
    stored = door.post(stream.getvalue()).json()
    tags = door.client.get(f"{stored['Path']}/tags").json()
    assert tags["0009,0010"] == {"Name": "PrivateCreator", "Type": "String", "Value": "ACME"}
    assert tags["0009,1001"]["PrivateCreator"] == "ACME"
    assert tags["0009,1001"]["Value"] == "secret"


def test_header(door: Door, stored: dict[str, Any]) -> None:
    header = door.client.get(f"{stored['Path']}/header").json()
    assert header["0002,0010"] == {"Name": "TransferSyntaxUID", "Type": "String", "Value": "1.2.840.10008.1.2.1"}
    assert all(number.startswith("0002,") for number in header)
    assert door.client.get(f"{stored['Path']}/header?simplify").json()["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"


def test_content(door: Door, stored: dict[str, Any]) -> None:
    path = f"{stored['Path']}/content"
    names = door.client.get(path).json()
    assert names == sorted(names)
    assert "0010-0010" in names
    answer = door.client.get(f"{path}/0010-0010")
    assert answer.content.rstrip() == "Müller^Jörg".encode()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert door.client.get(f"{path}/PatientID").content.rstrip() == b"P1"
    assert door.client.get(f"{path}/7fe0-0010").content == bytes(128)
    assert door.client.get(f"{path}/0008-1032").json() == ["0", "1"]
    assert door.client.get(f"{path}/0008-1032/0").json() == ["0008-0100"]
    assert door.client.get(f"{path}/0008-1032/0/0008-0100").content.rstrip() == b"T-1"
    assert door.client.get(f"{path}/0008-1032/1").json() == []
    for missing in ("0010-9999", "0008-1032/2", "0008-1032/x", "0008-1032/1/0008-0100", "0010-0010/0", "nonsense"):
        assert door.client.get(f"{path}/{missing}").status_code == 404


def test_modules(door: Door, stored: dict[str, Any]) -> None:
    def module(path: str) -> Any:
        return door.client.get(f"{path}?simplify").json()

    assert module(f"/patients/{stored['ParentPatient']}/module") == {"PatientID": "P1", "PatientName": "Müller^Jörg"}
    assert module(f"/studies/{stored['ParentStudy']}/module-patient")["PatientID"] == "P1"
    study = module(f"/studies/{stored['ParentStudy']}/module")
    assert (study["AccessionNumber"], "PatientID" in study) == ("A1", False)
    assert module(f"/series/{stored['ParentSeries']}/module")["Modality"] == "CT"
    assert module(f"/instances/{stored['ID']}/module")["InstanceNumber"] == "1"


def test_shared_tags_and_tags_of_all(door: Door) -> None:
    stored = [door.post(make_file(InstanceNumber=number)).json() for number in (1, 2)]
    shared = door.client.get(f"/series/{stored[0]['ParentSeries']}/shared-tags?simplify").json()
    assert shared["PatientName"] == "Doe^Jane"
    assert not {"InstanceNumber", "SOPInstanceUID"} & shared.keys()
    every = door.client.get(f"/patients/{stored[0]['ParentPatient']}/instances-tags?simplify").json()
    assert {instance: tags["InstanceNumber"] for instance, tags in every.items()} == {
        stored[0]["ID"]: "1",
        stored[1]["ID"]: "2",
    }
    assert door.client.get(f"/studies/{stored[0]['ParentStudy']}/instances-tags?short").json().keys() == every.keys()


def test_a_file_that_is_stored_compressed(door: Door, stored: dict[str, Any], index_uri: str) -> None:
    before = door.client.get(f"{stored['Path']}/tags").json()
    (file,) = door.files()
    plain = file.read_bytes()
    packed = struct.pack("<Q", len(plain)) + zlib.compress(plain)
    file.write_bytes(packed)
    with connect(index_uri) as connection:
        connection.execute("UPDATE AttachedFiles SET compressionType = 2, compressedSize = %s", (len(packed),))
    assert door.client.get(f"{stored['Path']}/tags").json() == before
    assert door.client.get(f"{stored['Path']}/content/7fe0-0010").content == bytes(128)


def test_a_file_that_is_lost_or_broken(door: Door, stored: dict[str, Any]) -> None:
    (file,) = door.files()
    file.write_bytes(b"no DICOM")
    for route in ("tags", "simplified-tags", "header", "content", "content/0010-0010", "module"):
        assert door.client.get(f"{stored['Path']}/{route}").status_code in (400, 500)
    file.unlink()
    for route in ("tags", "simplified-tags", "header", "content", "content/0010-0010", "module"):
        assert door.client.get(f"{stored['Path']}/{route}").status_code == 404
