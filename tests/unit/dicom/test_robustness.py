"""Files from the wild, files cut short, files with flipped bits: an instance or a BadDicom leaf, nothing else."""

import io
import random
import warnings
from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest
from pydicom.errors import InvalidDicomError

from cluster.dicom.header import DicomInstance
from cluster.errors import BadDicom, MissingIdentifier, NotDicom, TruncatedDicom, UnusableIdentifier

from .build import PYDICOM_FILES, part10, read

SMALL_FILES = [path for path in PYDICOM_FILES if path.stat().st_size < 40_000 and path.read_bytes()[128:132] == b"DICM"]
REFUSED = {
    "MR_truncated.dcm": TruncatedDicom,
    "rtplan_truncated.dcm": TruncatedDicom,
    # an item of the directory claims more than the file has
    "DICOMDIR-nooffset": TruncatedDicom,
    # implicit VR although its transfer syntax says explicit; DCMTK, and so Orthanc, cannot read it either
    "SC_rgb_jpeg.dcm": TruncatedDicom,
    "meta_missing_tsyntax.dcm": NotDicom,
}


def attempt(file: bytes) -> DicomInstance | BadDicom:
    """Read the file or return the leaf of BadDicom; anything else is let through and fails the test."""
    try:
        return read(file)
    except (NotDicom, TruncatedDicom, MissingIdentifier, UnusableIdentifier) as error:
        return error


def trimmed(value: str) -> str:
    """Without the padding of UN values and the empty components of person names, which pydicom takes off."""
    return value.rstrip(" =")


def text(element: pydicom.DataElement) -> str:
    """What pydicom makes of a value, joined and trimmed as the index does."""
    values = element.value if element.VM > 1 else [element.value]
    parts = [getattr(value, "original_string", None) or value for value in values or [""]]
    if element.VR == "PN":
        parts = list(values or [""])
    return "\\".join("" if part is None else str(part) for part in parts).rstrip(" ")


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
@pytest.mark.parametrize("path", PYDICOM_FILES, ids=lambda path: path.name)
def test_agrees_with_pydicom(path: Path) -> None:
    file = path.read_bytes()
    outcome = attempt(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = pydicom.dcmread(io.BytesIO(file))
    except (InvalidDicomError, EOFError):
        assert isinstance(outcome, NotDicom)
        return
    if path.name in REFUSED:
        assert type(outcome) is REFUSED[path.name]
        return
    if isinstance(outcome, BadDicom):
        assert isinstance(outcome, MissingIdentifier)
        assert not all(expected.get(keyword) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
        return
    assert trimmed(outcome.patient_id) == (expected.get("PatientID") or "")
    assert outcome.study_instance_uid == expected.StudyInstanceUID
    assert outcome.series_instance_uid == expected.SeriesInstanceUID
    assert outcome.sop_instance_uid == expected.SOPInstanceUID
    assert outcome.sop_class_uid == expected.SOPClassUID
    assert outcome.transfer_syntax_uid == expected.file_meta.TransferSyntaxUID
    for rows in outcome.main_tags:
        for group, number, value in rows:
            assert trimmed(value) == trimmed(text(expected[group, number])), (group, number)
    present = 0x7FE00010 in expected and not expected.file_meta.TransferSyntaxUID.is_deflated
    assert (outcome.pixel_data_offset is not None) == present
    if outcome.pixel_data_offset is not None:
        tag = file[outcome.pixel_data_offset :][:4]
        assert tag in (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")


def test_there_is_something_to_agree_about() -> None:
    assert sum(isinstance(attempt(path.read_bytes()), DicomInstance) for path in PYDICOM_FILES) > 100


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "chrH32.dcm", "SC_rgb_small_odd_jpeg.dcm", "SC_rgb_small_odd_big_endian.dcm"]
)
def test_cut_at_every_byte(name: str) -> None:
    (path,) = (path for path in PYDICOM_FILES if path.name == name)
    file = path.read_bytes()

    outcomes = [attempt(file[:size]) for size in range(len(file))]

    # All of the meta information and at least one element are needed; then cuts inside of elements are noticed
    assert {type(outcome) for outcome in outcomes[:132]} == {NotDicom}
    assert TruncatedDicom in {type(outcome) for outcome in outcomes}
    assert {type(outcome) for outcome in outcomes[-3:]} == {TruncatedDicom}


def mutations(file: bytes, randomness: random.Random) -> Iterable[bytes]:
    for _ in range(25):
        mutated = bytearray(file)
        for _ in range(randomness.choice((1, 1, 2, 8))):
            mutated[randomness.randrange(132, min(len(file), 4000))] = randomness.choice(
                (0, 1, 0x20, 0x5C, 0x7F, 0xFE, 0xFF, randomness.randrange(256))
            )
        yield bytes(mutated)
    at, size = randomness.randrange(132, len(file)), randomness.randrange(1, 40)
    yield file[:at] + file[at + size :]
    yield file[:at] + randomness.randbytes(size) + file[at:]


@pytest.mark.parametrize("path", SMALL_FILES, ids=lambda path: path.name)
def test_mutations(path: Path) -> None:
    file = path.read_bytes()
    randomness = random.Random(path.name)

    for mutated in mutations(file, randomness):
        attempt(mutated)


@pytest.mark.parametrize("seed", range(20))
def test_noise(seed: int) -> None:
    randomness = random.Random(seed)

    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"):
        assert isinstance(attempt(part10(randomness.randbytes(2000), syntax)), BadDicom)
    assert isinstance(attempt(randomness.randbytes(2000)), NotDicom)
