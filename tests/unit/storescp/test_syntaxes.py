"""What is accepted by default, against pydicom's dictionary and an observed Orthanc."""

import pytest
from pydicom._uid_dict import UID_dictionary

from workers.upper_layer.syntaxes import (
    STORAGE_SOP_CLASSES,
    TRANSFER_SYNTAXES,
    choose_transfer_syntax,
    matching_transfer_syntaxes,
)

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, JPEG, JPEG_2000 = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"

# What Orthanc 1.10.1 refused when asked for every SOP class of the dictionary with "Storage" in its name.
REFUSED_BY_ORTHANC = {
    "1.2.840.10008.1.3.10",  # Media Storage Directory Storage
    "1.2.840.10008.1.20.1",  # Storage Commitment Push Model: accepted there, but not a storage class
    "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
    "1.2.840.10008.5.1.4.1.1.200.1",  # CT Defined Procedure Protocol Storage
    "1.2.840.10008.5.1.4.1.1.200.3",  # Protocol Approval Storage
    "1.2.840.10008.5.1.4.1.1.200.7",  # XA Defined Procedure Protocol Storage
    "1.2.840.10008.5.1.4.1.1.201.1",  # Inventory Storage
    "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol Storage
    "1.2.840.10008.5.1.4.39.1",  # Color Palette Storage
    "1.2.840.10008.5.1.4.43.1",  # Generic Implant Template Storage
    "1.2.840.10008.5.1.4.44.1",  # Implant Assembly Template Storage
    "1.2.840.10008.5.1.4.45.1",  # Implant Template Group Storage
}


def test_every_storage_class_of_the_dictionary_is_accepted_or_refused_on_purpose() -> None:
    storage = {uid for uid, row in UID_dictionary.items() if row[1] == "SOP Class" and "Storage" in row[0]}

    assert storage - STORAGE_SOP_CLASSES == REFUSED_BY_ORTHANC


def test_the_default_pattern_takes_every_transfer_syntax_of_the_standard_that_holds_a_data_set() -> None:
    standard = {uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"}

    accepted = matching_transfer_syntaxes(["1.2.840.10008.1.*"])

    assert accepted == TRANSFER_SYNTAXES
    assert {UID_dictionary[uid][0].split(" ")[0] for uid in standard - accepted} == {"RFC", "XML", "SMPTE", "Papyrus"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [([EXPLICIT], {EXPLICIT}), (["*.4.5?"], {f"1.2.840.10008.1.2.4.5{i}" for i in range(10)}), (["1.2.3*"], set())],
)
def test_patterns(patterns: list[str], expected: set[str]) -> None:
    assert matching_transfer_syntaxes(patterns) == expected


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([IMPLICIT, EXPLICIT], EXPLICIT),
        ([EXPLICIT, IMPLICIT], EXPLICIT),
        ([BIG_ENDIAN, IMPLICIT], IMPLICIT),
        ([BIG_ENDIAN], BIG_ENDIAN),
        ([DEFLATED, EXPLICIT], EXPLICIT),
        ([DEFLATED, JPEG], DEFLATED),
        ([JPEG_2000, JPEG, EXPLICIT], JPEG_2000),
        ([IMPLICIT, JPEG], IMPLICIT),
        (["1.2.3", JPEG], JPEG),
        (["1.2.3"], None),
    ],
)
def test_choice(proposed: list[str], chosen: str | None) -> None:
    assert choose_transfer_syntax(proposed, TRANSFER_SYNTAXES) == chosen
