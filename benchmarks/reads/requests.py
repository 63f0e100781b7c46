"""The requests of each route: any of many resources, so that nothing is measured twice in a row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Known:
    """Ids and values to ask for, by level (`patients`, `studies`, `series`, `instances`).

    Attributes:
        ids: public ids of the synthetic archive.
        values: of some of its resources, by keyword.
        uploaded: answers to uploads, whose files exist; those of the archive do not.
        changes: number of the last change.
        instances: how many there are.
    """

    ids: Mapping[str, Sequence[str]]
    values: Mapping[str, Sequence[str]]
    uploaded: Sequence[Mapping[str, str]]
    changes: int
    instances: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; with a body it is a POST."""

    path: str
    body: Any = None


Route = Callable[[Known, Random], Ask]


def _by_id(level: str, rest: str = "") -> Route:
    return lambda known, random: Ask(f"/{level}/{random.choice(known.ids[level])}{rest}")


def _uploaded(field: str, level: str, rest: str) -> Route:
    return lambda known, random: Ask(f"/{level}/{random.choice(known.uploaded)[field]}{rest}")


def _find(level: str, keyword: str, change: Callable[[str], str] = str, **fields: Any) -> Route:
    def ask(known: Known, random: Random) -> Ask:
        value = change(random.choice(known.values[keyword]))
        return Ask("/tools/find", {"Level": level, "Query": {keyword: value}, **fields})

    return ask


def _count(level: str, keyword: str, change: Callable[[str], str] = str) -> Route:
    def ask(known: Known, random: Random) -> Ask:
        found = _find(level, keyword, change)(known, random)
        return Ask("/tools/count-resources", found.body)

    return ask


def _always(path: str, body: Any = None) -> Route:
    return lambda known, random: Ask(path, body)


def _window(level: str, size: int, rest: str = "") -> Route:
    return lambda known, random: Ask(f"/{level}?since={random.randrange(1000)}&limit={size}{rest}")


_COMPUTED = "ModalitiesInStudy;NumberOfStudyRelatedSeries;NumberOfStudyRelatedInstances"
_NEWEST = [{"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}]

ROUTES: dict[str, Route] = {
    "GET /patients/{id}": _by_id("patients"),
    "GET /studies/{id}": _by_id("studies"),
    "GET /series/{id}": _by_id("series"),
    "GET /instances/{id}": _by_id("instances"),
    "GET /studies/{id}?requested-tags (computed)": _by_id("studies", f"?requested-tags={_COMPUTED}"),
    "GET /studies/{id}/series": _by_id("studies", "/series"),
    "GET /studies/{id}/instances?expand=false": _by_id("studies", "/instances?expand=false"),
    "GET /patients/{id}/instances": _by_id("patients", "/instances"),
    "GET /instances/{id}/patient": _by_id("instances", "/patient"),
    "GET /patients/{id}/statistics": _by_id("patients", "/statistics"),
    "GET /studies/{id}/statistics": _by_id("studies", "/statistics"),
    "GET /studies, 100 expanded": _window("studies", 100, "&expand"),
    "GET /studies, 100 with computed tags": _window("studies", 100, f"&expand&requested-tags={_COMPUTED}"),
    "GET /instances, 1000 ids": _window("instances", 1000),
    "GET /changes, 100": lambda known, random: Ask(f"/changes?since={random.randrange(known.changes)}&limit=100"),
    "GET /statistics": _always("/statistics"),
    "GET /tools/metrics-prometheus": _always("/tools/metrics-prometheus"),
    "POST /tools/lookup": lambda known, random: Ask("/tools/lookup", random.choice(known.values["AccessionNumber"])),
    "find: PatientID": _find("Study", "PatientID", Expand=True),
    "find: AccessionNumber, wildcard at the end": _find("Study", "AccessionNumber", lambda text: text[:-1] + "*"),
    "find: PatientName, wildcards on both sides": _find("Study", "PatientName", lambda text: f"*{text[-4:]}*"),
    "find: PatientName in lower case": _find("Study", "PatientName", str.lower, Limit=100),
    "find: instances by SOPInstanceUID": _find("Instance", "SOPInstanceUID"),
    "find: series by StudyInstanceUID": _find("Series", "StudyInstanceUID", Expand=True),
    "find: instances of a PatientID": _find("Instance", "PatientID"),
    "find: a day of StudyDate, 100 expanded": _find("Study", "StudyDate", Limit=100, Expand=True),
    "find: a range of StudyDate, 100 newest": _find(
        "Study", "StudyDate", lambda text: f"{text[:6]}01-", Limit=100, OrderBy=_NEWEST
    ),
    "find: ModalitiesInStudy, 100 with computed tags": _always(
        "/tools/find",
        {
            "Level": "Study",
            "Query": {"ModalitiesInStudy": "CT"},
            "Limit": 100,
            "Expand": True,
            "RequestedTags": _COMPUTED.split(";"),
        },
    ),
    "find: no such study": _always("/tools/find", {"Level": "Study", "Query": {"PatientID": "nobody"}}),
    "count: studies by PatientName": _count("Study", "PatientName", lambda text: text[:-2] + "*"),
    "count: instances of a day": _count("Instance", "StudyDate"),
    "count: all studies": _always("/tools/count-resources", {"Level": "Study", "Query": {}}),
    "GET /instances/{id}/file": _uploaded("ID", "instances", "/file"),
    "GET /instances/{id}/tags": _uploaded("ID", "instances", "/tags"),
    "GET /instances/{id}/simplified-tags": _uploaded("ID", "instances", "/simplified-tags"),
    "GET /series/{id}/archive, 20 instances": _uploaded("ParentSeries", "series", "/archive"),
    "GET /series/{id}/shared-tags, 20 instances": _uploaded("ParentSeries", "series", "/shared-tags"),
}
