"""Synthetic instances are DICOM that pydicom and our parser read alike, differ from each other, and can be repeated."""

import hashlib
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from cluster.dicom.header import read_part10
from cluster.dicom.part10 import file_meta_information
from cluster.dicom.public_ids import public_ids
from workers.load.studies import CR, CT, MR, SMALL, Kind, SyntheticStudy
from workers.load.synthetic import TRANSFER_SYNTAXES, SyntheticInstance, SyntheticSeries


def part10(instance: SyntheticInstance) -> bytes:
    header = file_meta_information(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)
    return header + instance.data_set


def read(instance: SyntheticInstance) -> Dataset:
    dataset = dcmread(BytesIO(part10(instance)))
    dataset.decode()
    return dataset


def study(kind: Kind = SMALL, number: int = 0, seed: int = 1) -> SyntheticStudy:
    return SyntheticStudy(seed, "a", number, kind)


@pytest.mark.parametrize(("kind", "size"), [(SMALL, 30_000), (CT, 526_000), (MR, 132_000), (CR, 2_622_000)])
def test_file_has_the_promised_size(kind: Kind, size: int) -> None:
    # When an instance of this kind becomes a file
    stored = part10(SyntheticSeries(study(kind), 0).instance(0))

    # Then it is as large as the documentation says
    assert len(stored) == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize("kind", [SMALL, MR, CR])
def test_elements_that_differ_between_instances_are_where_they_belong(kind: Kind) -> None:
    # Given the third instance of a series
    instance = SyntheticSeries(study(kind), 1).instance(2)

    # When another DICOM library reads it
    dataset = read(instance)

    # Then it says what the ledger will say, in the order of a data set
    assert dataset.PatientID == instance.patient_id
    assert dataset.StudyInstanceUID == instance.study_instance_uid
    assert dataset.SeriesInstanceUID == instance.series_instance_uid
    assert dataset.SOPInstanceUID == instance.sop_instance_uid
    assert dataset.SOPClassUID == instance.sop_class_uid
    assert dataset.InstanceNumber == 3
    assert dataset.get("SliceLocation") == (-115 if kind.tomographic else None)
    assert len(dataset.PixelData) == kind.rows * kind.columns * 2
    tags = [element.tag for element in dataset]
    assert tags == sorted(set(tags))


def test_every_text_survives_its_character_set() -> None:
    # Given studies enough to meet every character set and transfer syntax
    instances = [SyntheticSeries(study(number=number), 0).instance(0) for number in range(60)]
    datasets = [read(instance) for instance in instances]

    # Then no text was damaged on its way into bytes and back
    names = {str(dataset.PatientName) for dataset in datasets}
    assert {str(dataset.get("SpecificCharacterSet")) for dataset in datasets} >= {
        "None",
        "ISO_IR 100",
        "ISO_IR 192",
        "['', 'ISO 2022 IR 87']",
    }
    assert any("山田" in name or "鈴木" in name for name in names)
    assert any("Ü" in name or "É" in name or "Ñ" in name or "Ø" in name for name in names)
    assert not any("?" in name or "\ufffd" in name for name in names)
    assert {instance.transfer_syntax_uid for instance in instances} == set(TRANSFER_SYNTAXES)
    assert {dataset.PatientID for dataset in datasets} == {f"LOAD00000001-a-{number}" for number in range(30)}


@pytest.mark.parametrize("number", range(8))
def test_our_own_parser_gives_the_public_ids_of_the_ledger(number: int) -> None:
    # When the node's parser reads the file
    instance = SyntheticSeries(study(MR, number), 0).instance(4)
    stored = part10(instance)
    parsed = read_part10(BytesIO(stored), len(stored))

    # Then the archive will call it what the ledger calls it
    assert parsed.public_ids == public_ids(
        instance.patient_id, instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
    )
    assert parsed.expected_instances == MR.instances_per_series
    assert parsed.index_in_series == "5"


def test_same_seed_gives_same_bytes_and_another_seed_another_instance() -> None:
    one = SyntheticSeries(study(), 0).instance(7)
    again = SyntheticSeries(study(), 0).instance(7)
    other = SyntheticSeries(study(seed=2), 0).instance(7)

    assert one == again
    assert one.sop_instance_uid != other.sop_instance_uid
    assert one.patient_id != other.patient_id


def test_pixel_data_differ_even_if_everything_else_were_the_same() -> None:
    # Given two instances of one series
    series = SyntheticSeries(study(), 0)
    digests = {hashlib.sha256(read(series.instance(number)).PixelData).digest() for number in range(25)}

    # Then a mix-up of files cannot go unnoticed
    assert len(digests) == 25


def test_instances_of_different_places_never_share_a_uid() -> None:
    # Given all instances of two studies, of another stream and of another seed
    studies = [study(), study(number=1), replace(study(), stream="b"), study(seed=2)]
    uids = [
        series.instance(number).sop_instance_uid
        for a_study in studies
        for series in (SyntheticSeries(a_study, 0), SyntheticSeries(a_study, 1))
        for number in range(25)
    ]

    # Then each has a name of its own, which DICOM allows
    assert len(set(uids)) == len(uids)
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
