"""File meta information: what we write, and what we accept."""

import io

import pydicom
import pytest

from cluster.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, file_meta_information
from cluster.errors import NotDicom, TruncatedDicom, UnusableIdentifier

from .build import CT_IMAGE, EXPLICIT_LITTLE, data_set, element, part10, read


@pytest.mark.parametrize("sop_instance_uid", ["1.2.3", "1.2.34", "1." + "2" * 62])
def test_pydicom_reads_what_we_write(sop_instance_uid: str) -> None:
    written = file_meta_information(CT_IMAGE, sop_instance_uid, EXPLICIT_LITTLE)

    data = pydicom.dcmread(io.BytesIO(written + data_set()))

    assert data.preamble == bytes(128)
    meta = data.file_meta
    assert meta.FileMetaInformationVersion == b"\0\x01"
    assert meta.MediaStorageSOPClassUID == CT_IMAGE
    assert meta.MediaStorageSOPInstanceUID == sop_instance_uid
    assert meta.TransferSyntaxUID == EXPLICIT_LITTLE
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.FileMetaInformationGroupLength == len(written) - 128 - 4 - 12
    assert data.PatientID == "ABC"


def test_our_implementation_fits_its_elements() -> None:
    assert IMPLEMENTATION_CLASS_UID.startswith("2.25.")
    assert len(IMPLEMENTATION_CLASS_UID) <= 64
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


@pytest.mark.parametrize("uid", ["1.2.é", "1" * 70_000])
def test_uid_that_no_element_can_hold(uid: str) -> None:
    with pytest.raises(UnusableIdentifier):
        file_meta_information(CT_IMAGE, uid, EXPLICIT_LITTLE)


@pytest.mark.parametrize(
    "file",
    [b"", b"DICM", b"hello, world\n" * 100, bytes(132), bytes(128) + b"DICX" + bytes(100), data_set()],
    ids=["empty", "prefix alone", "text", "zeros", "other prefix", "data set alone"],
)
def test_not_dicom(file: bytes) -> None:
    with pytest.raises(NotDicom):
        read(file)


@pytest.mark.parametrize("value", [None, b"", b"\0\0", b"1" * 66])
def test_transfer_syntax_is_not_guessed(value: bytes | None) -> None:
    meta = b"" if value is None else element(0x00020010, "UI", value)

    with pytest.raises(NotDicom, match="Transfer Syntax"):
        read(bytes(128) + b"DICM" + meta + data_set())


@pytest.mark.parametrize("group_length", [None, 0, 3, 10_000])
def test_group_length_may_be_absent_or_wrong(group_length: int | None) -> None:
    meta = element(0x00020010, "UI", EXPLICIT_LITTLE.encode() + b"\0")
    if group_length is not None:
        meta = element(0x00020000, "UL", group_length.to_bytes(4, "little")) + meta

    assert read(bytes(128) + b"DICM" + meta + data_set()).patient_id == "ABC"


def test_meta_information_that_claims_too_much() -> None:
    with pytest.raises(TruncatedDicom, match=r"^\(0002,0010\) at offset 132 claims 5000 bytes, 4 left$"):
        read(bytes(128) + b"DICM" + element(0x00020010, "UI", b"1.2.", length=5000))


def test_undefined_length_in_meta_information() -> None:
    with pytest.raises(NotDicom, match=r"\(0002,0001\)"):
        read(bytes(128) + b"DICM" + element(0x00020001, "OB", b"", length=0xFFFFFFFF))


def test_a_deflated_data_set_may_start_like_group_0002() -> None:
    # Given a deflated data set that begins with the bytes 02 00: only the group length tells where the group ends
    file = part10(b"\x02\0" + bytes(50), "1.2.840.10008.1.2.1.99")

    # Then it is taken for deflated data, which it is not
    with pytest.raises((NotDicom, TruncatedDicom), match="deflated"):
        read(file)
