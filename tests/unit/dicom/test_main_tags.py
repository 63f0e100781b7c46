"""The tables and vectors of interop/tags.md, sections 1 and 2."""

import pytest

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import IDENTIFIERS, KEYWORDS, MAIN_TAGS, SIGNATURES, normalise_identifier


def test_signatures_are_those_of_the_newest_release() -> None:
    assert SIGNATURES == (
        "0010,0010;0010,0020;0010,0030;0010,0040;0010,1000",
        "0008,0020;0008,0030;0008,0050;0008,0080;0008,0090;0008,0201;0008,1030;0020,000d;0020,0010;0032,1032;0032,1060",
        "0008,0021;0008,0031;0008,0060;0008,0070;0008,0201;0008,1010;0008,103e;0008,1070;0018,0010;0018,0015;"
        "0018,0024;0018,1030;0018,1090;0018,1400;0020,000e;0020,0011;0020,0037;0020,0105;0020,1002;0040,0244;"
        "0040,0245;0040,0254;0040,0275;0054,0081;0054,0101;0054,1000",
        "0008,0012;0008,0013;0008,0018;0020,0012;0020,0013;0020,0032;0020,0037;0020,0100;0020,4000;0028,0008;0054,1330",
    )


@pytest.mark.parametrize(
    ("level", "names"),
    [
        (Level.PATIENT, "PatientName PatientID PatientBirthDate PatientSex OtherPatientIDs"),
        (
            Level.STUDY,
            "StudyDate StudyTime AccessionNumber InstitutionName ReferringPhysicianName TimezoneOffsetFromUTC"
            " StudyDescription StudyInstanceUID StudyID RequestingPhysician RequestedProcedureDescription",
        ),
        (
            Level.SERIES,
            "SeriesDate SeriesTime Modality Manufacturer TimezoneOffsetFromUTC StationName SeriesDescription"
            " OperatorsName ContrastBolusAgent BodyPartExamined SequenceName ProtocolName CardiacNumberOfImages"
            " AcquisitionDeviceProcessingDescription SeriesInstanceUID SeriesNumber ImageOrientationPatient"
            " NumberOfTemporalPositions ImagesInAcquisition PerformedProcedureStepStartDate"
            " PerformedProcedureStepStartTime PerformedProcedureStepDescription RequestAttributesSequence"
            " NumberOfSlices NumberOfTimeSlices SeriesType",
        ),
        (
            Level.INSTANCE,
            "InstanceCreationDate InstanceCreationTime SOPInstanceUID AcquisitionNumber InstanceNumber"
            " ImagePositionPatient ImageOrientationPatient TemporalPositionIdentifier ImageComments NumberOfFrames"
            " ImageIndex",
        ),
    ],
)
def test_names(level: Level, names: str) -> None:
    assert [KEYWORDS[tag] for tag in MAIN_TAGS[level]] == names.split()


def test_levels_are_the_numbers_of_the_resource_type_column() -> None:
    assert [(level.name, level.value) for level in Level] == [
        ("PATIENT", 0),
        ("STUDY", 1),
        ("SERIES", 2),
        ("INSTANCE", 3),
    ]


def test_identifiers_by_level() -> None:
    assert [{KEYWORDS[tag] for tag in tags} for tags in IDENTIFIERS] == [
        {"PatientID", "PatientName", "PatientBirthDate"},
        {
            "PatientID",
            "PatientName",
            "PatientBirthDate",
            "StudyInstanceUID",
            "AccessionNumber",
            "StudyDescription",
            "StudyDate",
        },
        {"SeriesInstanceUID"},
        {"SOPInstanceUID"},
    ]


@pytest.mark.parametrize(
    ("stored", "identifier"),
    [
        ("Müller^Jörg Émile", "MLLER^JRG MILE"),
        ("A_B%C^d_e", "A B C^D E"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "YAMADA^TAROU=^=^"),
        ("Ελληνικά", ""),
        ("A\tB\nC\x01D", "ABCD"),
        ("A\x7fB\rC\x0b\x0cD\u00a0E\u0085F", "ABCDEF"),
        ("  X  Y", "X  Y"),
        ("_X%", "X"),
        ("é é", ""),
        ("", ""),
    ],
)
def test_normalisation(stored: str, identifier: str) -> None:
    assert normalise_identifier(stored) == identifier
