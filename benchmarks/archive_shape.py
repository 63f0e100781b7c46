"""What a synthetic archive consists of: one block of resources, and what is written of each resource.

An archive is this block repeated. The ratios are those of real ones: 273 patients, studies and series for 5,000
instances, some patients with several studies, most studies with several series. The children of a resource do not all
follow it directly, as modalities and studies take turns.
"""

from collections.abc import Callable
from functools import cache
from random import Random

PATIENTS, STUDIES, SERIES, INSTANCES = 30, 43, 200, 5000
"""In one block."""

SIZE = PATIENTS + STUDIES + SERIES + INSTANCES
"""Resources in one block."""

UNIQUE = 10**12
"""A `spread` that makes each value different."""

Description = tuple[str, int, int | None, int, str, int | None, int | None]
"""Subject, level, group, element (or type of metadata), and the value: `prefix`, followed by `first` + internal id
modulo `spread` unless those are None."""

_PATIENT_TAGS = (
    (0x0010, 0x0010, "SMITH^JOHN^", 1000, 5000),
    (0x0010, 0x0020, "PID", 10**6, UNIQUE),
    (0x0010, 0x0030, "19", 500101, 28),
    (0x0010, 0x0040, "F", None, None),
)
_STUDY_TAGS = (
    (0x0008, 0x0020, "2024", 1001, 28),
    (0x0008, 0x0030, "", 100000, 5959),
    (0x0008, 0x0050, "A", 10**6, UNIQUE),
    (0x0008, 0x0080, "GENERAL HOSPITAL", None, None),
    (0x0008, 0x1030, "CHEST W CONTRAST ", 1, 40),
    (0x0020, 0x000D, "1.2.826.0.1.3680043.10.543.1.", 10**8, UNIQUE),
)
_SERIES_TAGS = (
    (0x0008, 0x0060, "CT", None, None),
    (0x0008, 0x0070, "MANUFACTURER", None, None),
    (0x0008, 0x103E, "AXIAL ", 1, 100),
    (0x0020, 0x000E, "1.2.826.0.1.3680043.10.543.2.", 10**8, UNIQUE),
    (0x0020, 0x0011, "", 1, 9),
    (0x0020, 0x0037, r"1\0\0\0\1\0", None, None),
)
_INSTANCE_TAGS = (
    (0x0008, 0x0012, "2024", 1001, 28),
    (0x0008, 0x0013, "", 100000, 5959),
    (0x0008, 0x0018, "1.2.826.0.1.3680043.10.543.3.", 10**8, UNIQUE),
    (0x0020, 0x0013, "", 1, 25),
    (0x0020, 0x0032, r"-120\-120\-", 1, 400),
    (0x0020, 0x0037, r"1\0\0\0\1\0", None, None),
)
_TAGS = (_PATIENT_TAGS, (*_STUDY_TAGS, *_PATIENT_TAGS), _SERIES_TAGS, _INSTANCE_TAGS)

_PATIENT_IDENTIFIERS = {(0x0010, 0x0010), (0x0010, 0x0020), (0x0010, 0x0030)}
_IDENTIFIERS: tuple[set[tuple[int, int]], ...] = (
    _PATIENT_IDENTIFIERS,
    {*_PATIENT_IDENTIFIERS, (0x0020, 0x000D), (0x0008, 0x0050), (0x0008, 0x1030), (0x0008, 0x0020)},
    {(0x0020, 0x000E)},
    {(0x0008, 0x0018)},
)
"""interop/tags.md 2."""

_METADATA = (
    ((7, "20241031T", 100000, 5959),),
    ((7, "20241031T", 100000, 5959),),
    ((3, "MODALITY", None, None), (7, "20241031T", 100000, 5959)),
    (
        (1, "", 1, 25),
        (2, "20241031T", 100000, 5959),
        (3, "MODALITY", None, None),
        (8, "DicomProtocol", None, None),
        (9, "1.2.840.10008.1.2.1", None, None),
        (10, "1.2.840.10008.5.1.4.1.1.2", None, None),
        (11, "192.0.2.", 1, 50),
        (12, "ORTHANC", None, None),
    ),
)
"""interop/ingest.md 2, as an Orthanc before 1.9 wrote them."""


@cache
def descriptions() -> tuple[Description, ...]:
    """All that is written of a resource of each level."""
    found: list[Description] = []
    for level in range(4):
        for group, element, *value in _TAGS[level]:
            found.append(("tag", level, group, element, *value))
            if (group, element) in _IDENTIFIERS[level]:
                found.append(("identifier", level, group, element, *value))
        found += [("metadata", level, None, kind, *value) for kind, *value in _METADATA[level]]
    return tuple(found)


def block(seed: int = 1) -> list[tuple[int, int, int | None]]:
    """The resources of one block in the order of their internal ids: place from 1 on, level, the parent's place."""
    random = Random(seed)
    rows: list[tuple[int, int, int | None]] = []

    def add(level: int, parent: int | None) -> int:
        rows.append((len(rows) + 1, level, parent))
        return len(rows)

    patients = [-1] * PATIENTS
    open_series: list[tuple[int, int]] = []  # the series' place, and how many instances are still to come
    for study, patient in enumerate(_spread(random, PATIENTS, STUDIES)):
        if patients[patient] < 0:
            patients[patient] = add(0, None)
        study_place = add(1, patients[patient])
        for _ in range(_share(SERIES, STUDIES, study)):
            open_series.append((add(2, study_place), INSTANCES // SERIES))
            if len(open_series) > 3:  # as many modalities send at the same time
                _send(random, open_series, add)
    while open_series:
        _send(random, open_series, add)
    return rows


def _send(random: Random, open_series: list[tuple[int, int]], add: Callable[[int, int], int]) -> None:
    """Some instances of one of the open series; when they were the last, it is closed."""
    number = random.randrange(len(open_series))
    place, left = open_series[number]
    now = min(left, random.randrange(5, 40))
    for _ in range(now):
        add(3, place)
    if left > now:
        open_series[number] = (place, left - now)
    else:
        del open_series[number]


def _spread(random: Random, parents: int, children: int) -> list[int]:
    """The parent of each child, each parent at least once, in any order."""
    chosen = [*range(parents), *(random.randrange(parents) for _ in range(children - parents))]
    random.shuffle(chosen)
    return chosen


def _share(total: int, parts: int, number: int) -> int:
    """`total` in as equal parts as possible: the size of one part."""
    return total * (number + 1) // parts - total * number // parts
