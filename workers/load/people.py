"""Patients of synthetic studies: names in the character sets that archives really meet (PS3.3 C.12.1.1.2)."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Locale:
    """Texts that one Specific Character Set can hold; PN component groups are those of PS3.5 section 6.2.1."""

    character_set: str | tuple[str, ...] | None
    patient_names: tuple[str, ...]
    referring_physician: str
    institution: str
    study_descriptions: tuple[str, ...]


LOCALES = (
    Locale(
        None,
        ("SMITH^JOHN^A", "JOHNSON^MARY^^MRS", "O'BRIEN^PATRICK", "GARCIA LOPEZ^MARIA"),
        "WELBY^MARCUS^^DR",
        "GENERAL HOSPITAL",
        ("CHEST W CONTRAST", "HEAD WO CONTRAST", "ABDOMEN AND PELVIS"),
    ),
    Locale(
        "ISO_IR 100",
        ("MÜLLER^JÜRGEN", "DUPRÉ^ÉLISE", "NÚÑEZ^BEGOÑA", "SØRENSEN^ÅSE"),
        "LEFÈVRE^RENÉ^^DR",
        "CHU de Liège",
        ("Thorax injecté", "Schädel nativ", "Abdómen con contraste"),
    ),
    Locale(
        "ISO_IR 192",
        ("Иванов^Пётр", "Παπαδόπουλος^Γιώργος", "Nguyễn^Thị Ánh", "Şahin^Gökçe"),
        "Dvořák^Antonín^^MUDr.",
        "Szpital św. Łukasza",
        ("Грудная клетка", "CT hrudníku", "Kafa BT"),
    ),
    Locale(
        ("", "ISO 2022 IR 87"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Suzuki^Hanako=鈴木^花子=すずき^はなこ"),
        "Tanaka^Ichirou=田中^一郎",
        "東京病院",
        ("胸部造影", "頭部単純"),
    ),
)


@dataclass(frozen=True, slots=True)
class Patient:
    """What a data set says of a patient."""

    locale: Locale
    name: str
    birth_date: str
    sex: str
    age: str


def patient(random: Random) -> Patient:
    """Draw a patient; the same state of `random` gives the same one."""
    locale = random.choice(LOCALES)
    age = random.randrange(1, 95)
    return Patient(
        locale=locale,
        name=random.choice(locale.patient_names),
        birth_date=f"{2025 - age}{random.randrange(1, 13):02}{random.randrange(1, 29):02}",
        sex=random.choice("MF"),
        age=f"{age:03}Y",
    )
