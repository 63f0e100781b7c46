"""DICOMDIR files, read back by pydicom and by DCMTK, and compared with what dcmmkdir makes of the same files."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    KeyObjectSelectionDocumentStorage,
    RTDoseStorage,
    RTPlanStorage,
)

from cluster.dicom.directory import DirectoryWriter
from cluster.errors import NotDicom
from tests.support.dicom import make_file

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"


def written(files: list[bytes], **options: Any) -> bytes:
    """A DICOMDIR of files in this order, grouped by their UIDs."""
    stream = io.BytesIO()
    directory = DirectoryWriter(stream, **options)
    for number, content in enumerate(files):
        file = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        keys = [str(file.get(name)) for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")]
        directory.add(keys, ("IMAGES", f"IM{number}"), io.BytesIO(content))
    assert directory.finish() == len(stream.getvalue())
    return stream.getvalue()


def tree(content: bytes) -> list[tuple[int, str, str]]:
    """Depth, type and identifier of each record, found by following the offsets."""
    file = pydicom.dcmread(io.BytesIO(content))
    by_offset = {record.seq_item_tell: record for record in file.DirectoryRecordSequence}
    found = []

    def follow(offset: int, depth: int) -> None:
        while offset:
            record = by_offset.pop(offset)  # each is reached once
            names = ("ReferencedSOPInstanceUIDInFile", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")
            identifier = next((str(record[name].value) for name in names if name in record), "")
            found.append((depth, record.DirectoryRecordType, identifier))
            last.append(offset) if depth == 0 else None
            follow(record.OffsetOfReferencedLowerLevelDirectoryEntity, depth + 1)
            offset = record.OffsetOfTheNextDirectoryRecord

    last: list[int] = [0]
    follow(file.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity, 0)
    assert by_offset == {}
    assert last[-1] == file.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity
    return found


def records(content: bytes, kind: str) -> list[pydicom.Dataset]:
    file = pydicom.dcmread(io.BytesIO(content))
    return [record for record in file.DirectoryRecordSequence if record.DirectoryRecordType == kind]


def test_the_records_are_those_of_dcmmkdir(tmp_path: Path, dcmtk: Callable[[str], Path]) -> None:
    """On the samples of pydicom's that are meant for a DICOMDIR: several patients, studies and series."""
    by_uids: dict[tuple[str, ...], bytes] = {}
    for path in SHIPPED.glob("dicomdirtests/[0-9]*/*/*"):
        file = pydicom.dcmread(path, stop_before_pixels=True)
        uids = (file.PatientID, file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID)
        by_uids[uids] = path.read_bytes()
    files = [content for _, content in sorted(by_uids.items())]
    assert len(files) > 20
    (tmp_path / "IMAGES").mkdir()
    names = [f"IMAGES/IM{number}" for number in range(len(files))]
    for name, content in zip(names, files, strict=True):
        (tmp_path / name).write_bytes(content)
    command = [dcmtk("dcmmkdir"), "--invent", "-Pfl", "+D", "THEIRS", *names]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    ours, theirs = tree(written(files)), tree((tmp_path / "THEIRS").read_bytes())
    assert sorted(ours) == sorted(theirs)
    (tmp_path / "DICOMDIR").write_bytes(written(files))
    dump = subprocess.run([dcmtk("dcmdump"), tmp_path / "DICOMDIR"], capture_output=True, text=True, check=True)
    assert dump.stderr == ""


@pytest.mark.parametrize("extended", [False, True])
def test_whatever_pydicom_ships(extended: bool) -> None:
    """Odd values, character sets, transfer syntaxes and missing tags cost an element, never the medium."""
    files = []
    for path in SHIPPED.glob("*.dcm"):
        content = path.read_bytes()
        try:
            file = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        except Exception:  # which the archive would have refused
            continue
        if "SOPInstanceUID" in file and "TransferSyntaxUID" in file.file_meta:
            files.append(content)
    assert len(files) > 60
    files.sort(key=lambda content: str(pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).get("PatientID")))
    leaves = [entry for entry in tree(written(files, extended=extended)) if entry[0] == 3]
    assert len(leaves) == len(files)


def test_kinds_of_instances() -> None:
    for number, (sop_class, keywords, expected) in enumerate(
        (
            (RTDoseStorage, {"DoseSummationType": "PLAN", "Modality": "RTDOSE"}, "RT DOSE"),
            (RTDoseStorage, {"Modality": "RTDOSE"}, "RT DOSE"),  # without what its record needs
            (RTPlanStorage, {"Modality": "RTPLAN", "RTPlanLabel": "A"}, "RT PLAN"),
            (BasicTextSRStorage, {"Modality": "SR"}, "SR DOCUMENT"),
            (KeyObjectSelectionDocumentStorage, {"Modality": "KO"}, "KEY OBJECT DOC"),
            (EncapsulatedPDFStorage, {"Modality": "DOC", "EncapsulatedDocument": b"%PDF"}, "ENCAP DOC"),
        )
    ):
        content = written([make_file(SOPClassUID=sop_class, SOPInstanceUID=f"2.25.{number + 1}", **keywords)])
        assert tree(content)[-1] == (3, expected, f"2.25.{number + 1}"), expected


def test_what_must_be_told_is_invented() -> None:
    missing = dict.fromkeys(("PatientID", "StudyDate", "Modality", "SeriesNumber", "InstanceNumber"))
    content = written([make_file(**missing)])
    assert [records(content, kind)[0].get(name) for kind, name in (
        ("PATIENT", "PatientID"), ("STUDY", "StudyDate"), ("STUDY", "StudyTime"), ("STUDY", "StudyID"),
        ("SERIES", "Modality"), ("SERIES", "SeriesNumber"), ("IMAGE", "InstanceNumber"),
    )] == ["UNKNOWN", "19000101", "000000", "UNKNOWN", "OT", 0, 0]  # fmt: skip


def test_character_sets_are_kept() -> None:
    name = "Müller^Jörg=山田^太郎"
    (patient,) = records(written([make_file(SpecificCharacterSet="ISO_IR 192", PatientName=name)]), "PATIENT")
    assert str(patient.PatientName) == name
    assert patient.SpecificCharacterSet == "ISO_IR 192"


def test_what_is_extended() -> None:
    file = make_file(SeriesDescription="T1", PatientSex="F")
    assert "SeriesDescription" not in records(written([file]), "SERIES")[0]
    content = written([file], extended=True)
    assert records(content, "SERIES")[0].SeriesDescription == "T1"
    assert records(content, "PATIENT")[0].PatientSex == "F"
    assert records(content, "IMAGE")[0].Rows == 8


def test_no_instance() -> None:
    assert tree(written([])) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(200), bytes(128) + b"DICM", make_file()[:140]])
def test_what_is_no_instance(content: bytes) -> None:
    with pytest.raises(NotDicom):
        DirectoryWriter(io.BytesIO()).add("abc", ("IMAGES", "IM0"), io.BytesIO(content))
