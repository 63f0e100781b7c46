"""Searches against a model in plain Python, for any query of /tools/find that hypothesis can think of.

The model knows what the index holds (tags of the first instance of each resource) and the rules of interop/tags.md 2
and interop/rest.md 8; it shares no code with the search.
"""

import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.index.find import count, find
from cluster.index.store_instances import store_instances
from tests.integration.index_reads.conftest import Sql, Store, instance_rows
from tests.support.settings import settings_for
from workers.http.queries import query_of

SETTINGS = settings_for()

LETTERS = "aAbB éÉñß%_*?'^.\\"
"""What identifiers lose, what LIKE and regular expressions mean something by, what ends a text in SQL."""

TEXTS = {
    "PatientID": (0x0010, 0x0020),
    "PatientName": (0x0010, 0x0010),
    "AccessionNumber": (0x0008, 0x0050),
    "StudyDescription": (0x0008, 0x1030),
    "StudyID": (0x0020, 0x0010),
    "SeriesDescription": (0x0008, 0x103E),
    "ImageComments": (0x0020, 0x4000),
}
DATES = {"PatientBirthDate": (0x0010, 0x0030), "StudyDate": (0x0008, 0x0020), "SeriesDate": (0x0008, 0x0021)}
UIDS = {"StudyInstanceUID": (0x0020, 0x000D), "SOPInstanceUID": (0x0008, 0x0018)}
PATIENT = {"PatientID", "PatientName", "PatientBirthDate"}
IDENTIFIERS = PATIENT | {"AccessionNumber", "StudyDescription", "StudyDate", *UIDS}
LEVEL_OF = {
    **dict.fromkeys(PATIENT, Level.PATIENT),
    **dict.fromkeys(("AccessionNumber", "StudyDescription", "StudyID", "StudyDate", "StudyInstanceUID"), Level.STUDY),
    **dict.fromkeys(("SeriesDescription", "SeriesDate"), Level.SERIES),
    **dict.fromkeys(("ImageComments", "SOPInstanceUID"), Level.INSTANCE),
}
ALL = {**TEXTS, **DATES, **UIDS}


@dataclass
class Node:
    """One resource of the model."""

    level: Level
    public_id: str
    parent: "Node | None"
    tags: dict[str, str]
    labels: set[str] = field(default_factory=set)
    children: list["Node"] = field(default_factory=list)

    def at(self, level: Level) -> list["Node"]:
        """Resources of a level above, below, or itself."""
        if level == self.level:
            return [self]
        if level < self.level:
            assert self.parent is not None
            return self.parent.at(level)
        return [below for child in self.children for below in child.at(level)]


def normalised(text: str) -> str:
    kept = (" " if character in "%_" else character for character in text if " " <= character <= "~")
    return "".join(kept).upper().strip(" ")


def normalised_query(text: str) -> str:
    """A list is normalised value by value: blanks go from the ends of each."""
    return "\\".join(map(normalised, text.split("\\")))


def fits(value: str, wanted: str, is_date: bool) -> bool:
    if is_date and "-" in wanted:
        lowest, _, highest = wanted.partition("-")
        return (not lowest or value >= lowest) and (not highest or value <= highest)
    if "\\" in wanted:
        return value in wanted.split("\\")
    expression = "".join({"*": "(.|\n)*", "?": "(.|\n)"}.get(letter, re.escape(letter)) for letter in wanted)
    return re.fullmatch(expression, value) is not None


def tag_fits(node: Node, name: str, wanted: str, is_case_sensitive: bool) -> bool:
    level = LEVEL_OF[name]
    if level is Level.PATIENT and node.level > Level.PATIENT:
        level = Level.STUDY  # which repeats them
    for other in node.at(level):
        if name not in other.tags:
            continue
        value, is_date = other.tags[name], name in DATES
        by_identifier = name in IDENTIFIERS
        if by_identifier and not fits(normalised(value), normalised_query(wanted), is_date):
            continue
        if by_identifier and normalised_query(wanted) == wanted and (is_date or not is_case_sensitive):
            return True
        lowered = not is_case_sensitive and not is_date
        if fits(value.lower() if lowered else value, wanted.lower() if lowered else wanted, is_date):
            return True
    return False


def labels_fit(node: Node, labels: list[str], constraint: str) -> bool:
    if not labels:
        return constraint != "None" or not node.labels
    if constraint == "All":
        return set(labels) <= node.labels
    return bool(set(labels) & node.labels) == (constraint == "Any")


@pytest.fixture
def tree(database: Database, sql: Sql) -> dict[Level, list[Node]]:
    """Thirty instances with values of all kinds, in the database and as a model."""
    chance = random.Random(6)

    def text() -> str:
        return "".join(chance.choices(LETTERS, k=chance.randrange(6)))

    found: dict[str, Node] = {}
    for number in range(30):
        study, series = chance.randrange(10), chance.randrange(15)
        keywords: dict[str, Any] = {name: text() for name in TEXTS if name != "PatientID"}
        keywords |= {name: f"20{chance.randrange(20, 30)}0101" for name in DATES}
        rows = instance_rows(
            SpecificCharacterSet="ISO_IR 192",
            PatientID=["", "P1", "p1", "P_1", "é", "A*b"][study % 6],
            StudyInstanceUID=f"2.25.{study}",
            SeriesInstanceUID=f"2.25.{study}.{series}",
            SOPInstanceUID=f"2.25.{study}.{series}.{number}",
            **keywords,
        )
        store_instances(database, "Never", [rows])
        _grow(found, rows.instance)
    for node in found.values():
        node.labels = set(chance.sample("abc", chance.randrange(3)))
        for label in node.labels:
            sql(
                "INSERT INTO Labels (id, label) SELECT internalId, %s FROM Resources WHERE publicId = %s",
                label,
                node.public_id,
            )
    return {level: [node for node in found.values() if node.level == level] for level in Level}


def _grow(found: dict[str, Node], instance: Any) -> None:
    names = {tag: name for name, tag in ALL.items()}
    parent = None
    ids = instance.public_ids
    for level, public_id in zip(Level, (ids.patient, ids.study, ids.series, ids.instance), strict=True):
        rows = instance.main_tags[level] + (instance.main_tags[Level.PATIENT] if level is Level.STUDY else ())
        if public_id not in found:
            tags = {names[group, element]: value for group, element, value in rows if (group, element) in names}
            found[public_id] = Node(level, public_id, parent, tags)
            if parent is not None:
                parent.children.append(found[public_id])
        parent = found[public_id]


def is_allowed(text: str) -> bool:
    return not ("\\" in text and set("*?") & set(text))


texts = st.text(LETTERS, max_size=5).filter(is_allowed)
dates = st.from_regex(r"(20(2[0-9]?)?)?-?(202[0-9]0101)?", fullmatch=True)
uids = st.lists(st.from_regex(r"2\.25\.[0-9](\.1?[0-9]\.[12]?[0-9])?", fullmatch=True), max_size=3).map("\\".join)


def values_like(name: str, stored: list[str]) -> st.SearchStrategy[str]:
    """Any text, and those that are there or nearly so: what is made up matches too seldom to find mistakes."""
    known = st.sampled_from(stored)
    if name in DATES:
        return dates | known
    if name in UIDS:
        return uids | known
    places = st.tuples(known, st.integers(0, 4), st.sampled_from("?*"))
    nearly = places.map(lambda of: of[0][: of[1]] + of[2] + of[0][of[1] + 1 :])
    lists = st.lists(known, min_size=2, max_size=3).map("\\".join)
    return (texts | known | known.map(str.swapcase) | nearly | nearly.map(str.upper) | lists).filter(is_allowed)


def queries(tree: dict[Level, list[Node]]) -> st.SearchStrategy[dict[str, str]]:
    nodes = [node for level in Level for node in tree[level]]
    stored = {name: sorted({node.tags[name] for node in nodes if name in node.tags}) for name in ALL}
    pairs = st.sampled_from(sorted(ALL)).flatmap(lambda name: st.tuples(st.just(name), values_like(name, stored[name])))
    return st.lists(pairs, max_size=2).map(dict)


bodies = st.fixed_dictionaries(
    {
        "Level": st.sampled_from(["Patient", "Study", "Series", "Instance"]),
        "CaseSensitive": st.booleans(),
        "Labels": st.just([]) | st.lists(st.sampled_from("abc"), max_size=2),
        "LabelsConstraint": st.sampled_from(["All", "All", "Any", "None"]),
    }
)


def test_what_is_found_is_what_the_model_finds(database: Database, tree: dict[Level, list[Node]]) -> None:
    @settings(max_examples=350, deadline=None, database=None)
    @given(fields=bodies, asked=queries(tree), since=st.integers(0, 4), limit=st.integers(0, 4))
    def check(fields: dict[str, Any], asked: dict[str, str], since: int, limit: int) -> None:
        query = query_of(SETTINGS, fields | {"Query": asked})
        expected = sorted(
            node.public_id
            for node in tree[query.search.level]
            if all(tag_fits(node, name, text, fields["CaseSensitive"]) for name, text in asked.items() if text)
            and labels_fit(node, fields["Labels"], fields["LabelsConstraint"])
        )
        window = expected[since : since + limit] if limit else expected[since:]
        assert [found for page in find(database, query.search, since, limit or None) for found in page] == window
        assert count(database, query.search) == len(expected)

    check()


def test_one_study_has_to_fit_entirely_for_its_patient_to_be_found(database: Database, store: Store) -> None:
    # Given two studies: the identifier AXB of one would do, and the tag of the other, whose identifier AB would not
    for uid, description in (("2.25.1", "AXB"), ("2.25.2", "aéb")):
        store(
            SpecificCharacterSet="ISO_IR 192",
            PatientID="P",
            StudyInstanceUID=uid,
            SeriesInstanceUID=f"{uid}.1",
            SOPInstanceUID=f"{uid}.1.1",
            StudyDescription=description,
        )
    # When a pattern is asked for in which case matters
    found = {}
    for level in ("Study", "Patient"):
        for pattern in ("a?b", "A?B"):
            query = query_of(SETTINGS, {"Level": level, "CaseSensitive": True, "Query": {"StudyDescription": pattern}})
            ids = [public_id for page in find(database, query.search, 0, None) for public_id in page]
            assert count(database, query.search) == len(ids)
            found[level, pattern] = len(ids)
    # Then neither study fits the first one, and so does not their patient
    assert found == {("Study", "a?b"): 0, ("Patient", "a?b"): 0, ("Study", "A?B"): 1, ("Patient", "A?B"): 1}
