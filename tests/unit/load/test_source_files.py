"""A user's files under new UIDs: pydicom reads what it read before, but for the identifiers."""

import zlib
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cluster.errors import ConfigurationError
from tests.support.dicom import make_file
from workers.load.files import FileInstance, catalogue, copy_of
from workers.load.plan import Portion, copies_of
from workers.load.source_file import source_file
from workers.load.transports import part10

IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
GROUP_LENGTHS = (0x00080000, 0x00100000, 0x00200000)
SAMPLES = (
    "CT_small.dcm",  # Explicit VR, with private elements
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "ExplVR_BigEnd.dcm",
    "image_dfl.dcm",  # deflated
    "JPEG2000.dcm",  # encapsulated
    "MR_small_RLE.dcm",
    "rtplan.dcm",  # sequences, no pixel data
    "reportsi.dcm",
    "SC_rgb_rle_2frame.dcm",
)


def sample(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


def read(instance: FileInstance) -> Dataset:
    return dcmread(BytesIO(part10(instance)))


@pytest.mark.parametrize("name", SAMPLES)
def test_only_the_identifiers_change(name: str) -> None:
    # Given a file, and what another library reads in it
    before = dcmread(sample(name))
    file = source_file(sample(name))

    # When it is sent as a copy
    instance = copy_of(file, seed=7, copy=0)
    after = read(instance)

    # Then the identifiers are new, and those that the ledger will say
    assert instance.transfer_syntax_uid == before.file_meta.TransferSyntaxUID == after.file_meta.TransferSyntaxUID
    told = (instance.patient_id, instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid)
    assert tuple(str(after.get(each, "")) for each in IDENTIFIERS) == told
    assert all(after[each].value != before[each].value for each in IDENTIFIERS if before.get(each))
    # And everything else is as it was, pixel data byte for byte
    assert list(after.keys()) == list(before.keys())
    for element in before:
        if element.keyword not in IDENTIFIERS and element.tag not in GROUP_LENGTHS:
            assert after[element.tag] == element
    if "PixelData" in before:
        assert after.PixelData == before.PixelData


def test_group_lengths_count_what_is_there_now(tmp_path: Path) -> None:
    # Given a file that tells how long its groups are, as old ones do
    dataset = dcmread(sample("ExplVR_BigEnd.dcm"))
    file = source_file(sample("ExplVR_BigEnd.dcm"))
    assert any(tag in dataset for tag in GROUP_LENGTHS), "the sample has lost its group lengths"

    instance = copy_of(file, 7, 0)

    # Then each is wrong by nothing: from behind it to the next group
    data_set = b"".join(instance.pieces)
    changed = {place.tag for place in source_file_of(instance, tmp_path).places} & set(GROUP_LENGTHS)
    assert changed
    for place in source_file_of(instance, tmp_path).places:
        if place.tag in GROUP_LENGTHS:
            length = int.from_bytes(data_set[place.at : place.at + 4], "big")
            following = data_set[place.at + 4 + length :][:2]
            assert int.from_bytes(following, "big") > place.tag >> 16


def source_file_of(instance: FileInstance, folder: Path):  # type: ignore[no-untyped-def]
    path = folder / "copy.dcm"
    path.write_bytes(part10(instance))
    return source_file(path)


def test_a_deflated_file_stays_deflated() -> None:
    instance = copy_of(source_file(sample("image_dfl.dcm")), 7, 0)
    assert instance.transfer_syntax_uid == DeflatedExplicitVRLittleEndian
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(b"".join(instance.pieces))
    assert instance.sop_instance_uid.encode() in inflated


def test_what_belonged_together_still_does(tmp_path: Path) -> None:
    # Given two instances of a series, one of another study of the same patient
    for name, study, series in (("a", "2.25.1", "2.25.11"), ("b", "2.25.1", "2.25.11"), ("c", "2.25.2", "2.25.21")):
        (tmp_path / name).write_bytes(make_file(StudyInstanceUID=study, SeriesInstanceUID=series))
    files = catalogue([tmp_path]).files

    first, second, third, again, *_ = copies_of(Portion("files", range(6)), files, seed=1)

    # Then they are as before, and a second copy is another patient's
    assert first.series_instance_uid == second.series_instance_uid != third.series_instance_uid
    assert first.study_instance_uid == second.study_instance_uid != third.study_instance_uid
    assert first.patient_id == second.patient_id == third.patient_id != again.patient_id
    assert again.study_instance_uid not in (first.study_instance_uid, third.study_instance_uid)
    assert len({each.sop_instance_uid for each in (first, second, third, again)}) == 4
    assert copy_of(files[0], 1, 0).sop_instance_uid == first.sop_instance_uid
    assert copy_of(files[0], 2, 0).sop_instance_uid != first.sop_instance_uid


def test_a_file_is_not_read_into_memory(tmp_path: Path) -> None:
    # Given a file of 64 MB
    path = tmp_path / "large.dcm"
    path.write_bytes(make_file(Rows=4096, Columns=8192, PixelData=bytes(64 * 1024 * 1024)))

    instance = copy_of(source_file(path), 1, 0)

    # Then what is held of it is a map of the file, and a few bytes
    held = [piece for piece in instance.pieces if isinstance(piece, bytes)]
    assert sum(map(len, held)) < 1000
    assert sum(map(len, instance.pieces)) > 64 * 1024 * 1024


def test_what_cannot_be_sent_is_told(tmp_path: Path) -> None:
    good = make_file()
    (tmp_path / "good.dcm").write_bytes(good)
    (tmp_path / "the same.dcm").write_bytes(good)
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut").write_bytes(good[:300])
    (tmp_path / "no study").write_bytes(make_file(StudyInstanceUID=None))

    found = catalogue([tmp_path])

    assert [Path(file.path).name for file in found.files] == ["good.dcm"]
    reasons = {Path(text.partition(": ")[0]).name: text.partition(": ")[2] for text in found.skipped}
    assert reasons["the same.dcm"] == "the same SOP Instance UID as another file"
    assert reasons["no study"] == "no Study Instance UID"
    assert reasons.keys() == {"the same.dcm", "notes.txt", "empty", "cut", "no study"}
    with pytest.raises(ConfigurationError, match=r"--files: holds no DICOM file that can be sent: 1 looked at"):
        catalogue([tmp_path / "notes.txt"])


@pytest.mark.parametrize("patient_id", ["", None])
def test_a_patient_without_id_gets_none(tmp_path: Path, patient_id: str | None) -> None:
    (tmp_path / "file").write_bytes(make_file(PatientID=patient_id))
    instance = copy_of(source_file(tmp_path / "file"), 1, 0)
    assert instance.patient_id == ""
    assert read(instance).get("PatientID", "") in ("", None)


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    content = [make_file(), make_file()]
    for number, file in enumerate(content):
        (tmp_path / "one" / f"{number}").write_bytes(file)
        (tmp_path / "other" / f"{number}.dcm").write_bytes(file)
    one, other = catalogue([tmp_path / "one"]), catalogue([tmp_path / "other"])
    assert one.fingerprint == other.fingerprint
    (tmp_path / "other" / "more").write_bytes(make_file())
    assert catalogue([tmp_path / "other"]).fingerprint != one.fingerprint
