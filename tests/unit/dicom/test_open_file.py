"""Looking into stored files: every file that pydicom ships, against pydicom."""

import io
import warnings
from contextlib import suppress
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from cluster.dicom.header import read_part10
from cluster.dicom.open_file import DicomFile, Span
from cluster.dicom.tag_names import keyword_of, parse_tag
from cluster.errors import BadDicom, UnknownResource
from tests.support.dicom import make_file

ITEM = ("0008-1032", "0")
FOLDER = Path(pydicom.data.__file__).parent / "test_files"


def accepted() -> list[Path]:
    """Files that our node stores."""
    found = []
    for path in sorted(FOLDER.rglob("*.dcm")):
        content = path.read_bytes()
        try:
            read_part10(io.BytesIO(content), len(content))
        except BadDicom:
            continue
        found.append(path)
    return found


ACCEPTED = accepted()


def opened(content: bytes) -> DicomFile:
    return DicomFile(io.BytesIO(content), len(content))


def value_of(file: DicomFile, *path: str) -> bytes:
    span = file.content(path)
    assert isinstance(span, Span)
    file.stream.seek(span.offset)
    return file.stream.read(span.length)


def test_there_are_files() -> None:
    assert len(ACCEPTED) > 50


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.name)
def test_all_elements_of_a_file(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
    with opened(path.read_bytes()) as file:
        tags = file.tags()
        names = file.content([])
        header = file.header()
    expected = {f"{tag.group:04x},{tag.element:04x}" for tag in dataset._dict}
    assert {name.replace("-", ",") for name in names} == expected
    assert tags.keys() == {name for name in expected if name <= "7fe0,0010"}
    assert header["0002,0010"]["Value"] == dataset.file_meta.TransferSyntaxUID
    for element in dataset:
        node = tags.get(f"{element.tag.group:04x},{element.tag.element:04x}", {})
        if element.VR == "SQ" and node.get("Type") == "Sequence":
            assert len(node["Value"]) == len(element.value)
        if element.VR in ("UI", "CS", "DA") and node.get("Type") == "String" and isinstance(element.value, str):
            assert node["Value"].strip() == str(element.value).strip()


def test_values_at_paths() -> None:
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "ABCD"
    outer.PurposeOfReferenceCodeSequence = [Dataset(), inner]
    content = make_file(ReferencedImageSequence=[outer])
    with opened(content) as file:
        assert value_of(file, "0008-1140", "0", "0040-a170", "1", "0008-0100") == b"ABCD"
        assert file.content(["ReferencedImageSequence", "0", "PurposeOfReferenceCodeSequence"]) == ["0", "1"]
        assert file.content(["0008-1140", "0"]) == ["0040-a170"]
        for nowhere in ("0008-1140/1", "0008-1140/-1", "0008-1140/0/0008-0100", "x", "0010-0010/0"):
            with pytest.raises(UnknownResource):
                file.content(nowhere.split("/"))


def test_sequences_of_undefined_length() -> None:
    dataset = pydicom.dcmread(io.BytesIO(make_file()))
    items = []
    for number in range(3):
        item = Dataset()
        item.CodeValue = f"C{number}"
        item.is_undefined_length_sequence_item = True
        items.append(item)
    dataset.ProcedureCodeSequence = items
    dataset["ProcedureCodeSequence"].is_undefined_length = True
    stream = io.BytesIO()
    dataset.save_as(stream)
    with opened(stream.getvalue()) as file:
        assert [value_of(file, "0008-1032", str(number), "0008-0100") for number in range(3)] == [b"C0", b"C1", b"C2"]
        assert file.content(["0008-1032"]) == ["0", "1", "2"]
        assert "0010-0010" in file.content([])


def test_fragments() -> None:
    dataset = pydicom.dcmread(io.BytesIO(make_file()))
    dataset.PixelData = encapsulate([b"frame one!", b"frame two!"])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    stream = io.BytesIO()
    dataset.save_as(stream)
    with opened(stream.getvalue()) as file:
        assert file.content(["7fe0-0010"]) == ["0", "1", "2"]
        assert value_of(file, "7fe0-0010", "2") == b"frame two!"
        assert file.tags()["7fe0,0010"]["Type"] == "Null"


@given(st.data())
def test_damaged_files_are_refused_with_an_error_of_ours(data: st.DataObject) -> None:
    item = Dataset()
    item.CodeValue = "ABCD"
    content = bytearray(make_file(ProcedureCodeSequence=[item], SOPInstanceUID="2.25.77"))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    for look in (DicomFile.tags, DicomFile.header, lambda file: file.content([]), lambda file: file.content(ITEM)):
        with suppress(BadDicom, UnknownResource), opened(bytes(content)) as file:
            look(file)


def test_names() -> None:
    assert parse_tag("PatientID") == parse_tag("0010,0020") == parse_tag("00100020") == (0x0010, 0x0020)
    for nothing in ("", "patientid", "0010", "0010;0020", "00100020 ", "x" * 1000):
        assert parse_tag(nothing) is None
    assert keyword_of((0x0009, 0x0010)) == "PrivateCreator"
    assert keyword_of((0x0009, 0x1010)) == "Unknown Tag & Data"
