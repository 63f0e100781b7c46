"""The worked vectors of interop/identifiers.md."""

import pytest

from cluster.dicom.public_ids import PublicIds, public_ids

DUMMY_CT = (
    "ozp00SjY2xG",
    "1.2.840.113619.2.176.2025.1499492.7391.1171285944.390",
    "1.2.840.113619.2.176.2025.1499492.7391.1171285944.394",
    "1.2.840.113619.2.176.2025.1499492.7040.1171286242.109",
)
BRAINIX = (
    "5Yp0E",
    "2.16.840.1.113669.632.20.1211.10000357775",
    "1.3.46.670589.11.0.0.11.4.2.0.8743.5.5396.2006120114285654497",
    "1.3.46.670589.11.0.0.11.4.2.0.8743.5.5396.2006120114314079549",
)
KNEE = (
    "887",
    "2.16.840.1.113669.632.20.121711.10000160881",
    "1.3.46.670589.11.17521.5.0.3124.2008081908564160709",
    "1.3.46.670589.11.17521.5.0.3124.2008081908590448738",
)


@pytest.mark.parametrize(
    ("identifiers", "ids"),
    [
        (
            DUMMY_CT,
            PublicIds(
                "6816cb19-844d5aee-85245eba-28e841e6-2414fae2",
                "b9c08539-26f93bde-c81ab0d7-bffaf2cb-a4d0bdd0",
                "f2635388-f01d497a-15f7c06b-ad7dba06-c4c599fe",
                "66a662ce-7430e543-bad44d47-0dc5a943-ec7a538d",
            ),
        ),
        (
            BRAINIX,
            PublicIds(
                "16738bc3-e47ed42a-43ce044c-a3414a45-cb069bd0",
                "27f7126f-4f66fb14-03f4081b-f9341db2-53925988",
                "1e2c125c-411b8e86-3f4fe68e-a7584dd3-c6da78f0",
                "4dc71dc0-6093b5f8-ca67aa8a-07b18ff5-95dbe3c8",
            ),
        ),
        (
            KNEE,
            PublicIds(
                "ca29faea-b6a0e17f-067743a1-8b778011-a48b2a17",
                "0a9b3153-2512774b-2d9580de-1fc3dcf6-3bd83918",
                "6de73705-c4e65c1b-9d9ea1b5-cabcd8e7-f15e4285",
                "c8df6478-d7794217-0f11c293-a41237c9-31d98357",
            ),
        ),
    ],
    ids=["DummyCT", "Brainix", "Knee"],
)
def test_published_files(identifiers: tuple[str, str, str, str], ids: PublicIds) -> None:
    assert public_ids(*identifiers) == ids


@pytest.mark.parametrize(
    ("patient_id", "expected"),
    [
        ("ABC", "3c01bdbb-26f358ba-b27f2679-24aa2c9a-03fcfdb8"),
        (" ABC", "50ecffbe-1010d1e2-0d5c240a-3e283132-f68a6114"),
        ("abc", "a9993e36-4706816a-ba3e2571-7850c26c-9cd0d89d"),
        ("ÉRIC", "a45728b6-1bf7b81a-0ae292d9-58f711fb-7290eed2"),
        ("RIC", "559d47bf-91cbefaf-91caf39e-c75a6e6c-f3cb29e0"),
        ("A\\B", "9ccc6040-cd7ba89f-c31d2e11-aa08f8bd-b2c6cedb"),
        ("A|B", "fa97dd47-910ed157-d733ff92-8c6533de-2cbdb883"),
        ("", "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"),
    ],
)
def test_patient_ids(patient_id: str, expected: str) -> None:
    assert public_ids(patient_id, "1", "2", "3").patient == expected


def test_study_p1() -> None:
    # The last edge vector of interop/identifiers.md gives the first of these as the study's id, but it is the SHA-1 of
    # "P1" alone, the patient's. The second is `printf 'P1|1.2.3' | sha1sum`, the rule that the published files follow.
    ids = public_ids("P1", "1.2.3", "x", "y")

    assert ids.patient == "bdaf1eca-33d4619e-80e8ca68-9a1b74a4-febbbb29"
    assert ids.study == "ce42f924-f6020bea-aa810144-6941b6f0-88331094"


def test_the_same_uids_under_two_patients_are_different_resources_at_every_level() -> None:
    one, other = public_ids("A", "1", "2", "3"), public_ids("B", "1", "2", "3")

    assert {one.patient, one.study, one.series, one.instance}.isdisjoint(
        {other.patient, other.study, other.series, other.instance}
    )
