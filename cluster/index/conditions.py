"""A search as one SQL statement, composed of the pieces in `sql/find.sql`.

Invariants: every value is bound, and no row of a join multiplies results (a resource has one parent, and one row of a
tag or metadata), so what is found needs no DISTINCT and can be counted.

Tables r0 to r3 are the resources on the way from patient to instance; the search finds those of its own level. Tags of
the patient are read from the study where there is one (interop/tags.md 1). A tag of a level below the search's holds
for a resource if it holds for any resource below it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from psycopg import sql

from cluster.dicom.computed_tags import COMPUTED_TAGS, ComputedTag
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import IDENTIFIERS, MAIN_TAGS, REQUEST_ATTRIBUTES_SEQUENCE, Tag
from cluster.dicom.tag_names import hexadecimal
from cluster.errors import UnusableQuery
from cluster.index.constraints import Constraint
from cluster.index.search import LabelsConstraint, OrderKey, Search
from cluster.index.value_tests import Bound, is_said_by_identifier, piece, test_of_identifier, test_of_value

_MODALITY: Tag = (0x0008, 0x0060)

Test = Callable[[Constraint, sql.Composable, Bound], sql.Composable]


class Place(NamedTuple):
    """Where the index has a tag."""

    level: Level
    is_identifier: bool


def place_of(tag: Tag, level: Level) -> Place | None:
    """Where a search at a level finds a tag: on its own level, else the nearest above, else the nearest below."""
    if tag == REQUEST_ATTRIBUTES_SEQUENCE:
        return None
    above = range(level, -1, -1)
    for other in map(Level, (*above, *range(level + 1, Level.INSTANCE + 1))):
        tags = MAIN_TAGS[other] + (MAIN_TAGS[Level.PATIENT] if other is Level.STUDY else ())
        if tag in tags:
            return Place(other, tag in IDENTIFIERS[other])
    return None


def is_in_index(tag: Tag, level: Level) -> bool:
    """Whether the index alone can answer a search for a tag.

    Raises:
        UnusableQuery: nobody can, as the tag is computed.
    """
    computed = COMPUTED_TAGS.get(tag)
    if computed is None:
        return place_of(tag, level) is not None
    if computed is not ComputedTag.MODALITIES_IN_STUDY:
        raise UnusableQuery(f"the tag {hexadecimal(tag)} is computed: it cannot be searched for")
    return True


class Conditions:
    """Joins and conditions of one search, with the values that they bind."""

    def __init__(self, search: Search) -> None:
        self.bound = Bound()
        self.level = search.level
        self.found = _resource(search.level)
        self._highest = search.level
        self._joins: list[sql.Composable] = []
        self._wheres: list[sql.Composable] = []
        self._late: list[sql.Composable] = []
        self._order: list[sql.Composable] = []
        for level, public_id in search.ancestors.items():
            wanted = self.bound.bind(public_id)
            self._wheres.append(piece("id", resource=self._reach(level), wanted=wanted))
        for tag, constraint in search.indexed_tags:
            self._add_tag(tag, constraint)
        for kind, constraint in search.metadata:
            self._add_metadata(kind, constraint)
        self._add_labels(search.labels, search.labels_constraint)
        for key in search.order:
            self._add_order(key)

    @property
    def joins(self) -> sql.Composable:
        """Everything behind FROM Resources."""
        parents = [
            piece("parent", parent=_resource(level), child=_resource(Level(level + 1)))
            for level in map(Level, range(self.level - 1, self._highest - 1, -1))
        ]
        return sql.SQL("\n").join([*parents, *self._joins])

    @property
    def wheres(self) -> sql.Composable:
        """Conditions, each with AND before it."""
        return sql.SQL("\n").join([*self._wheres, *self._late])

    @property
    def early(self) -> sql.Composable:
        """Those of them that may find resources."""
        return sql.SQL("\n").join(self._wheres)

    @property
    def late(self) -> sql.Composable:
        """The others: each has to be looked at for one found resource after the other."""
        return sql.SQL("\n").join(self._late)

    @property
    def has_late(self) -> bool:
        """Whether there are such."""
        return bool(self._late)

    @property
    def order(self) -> sql.Composable:
        """Sort keys, each with a comma behind it."""
        return sql.SQL("\n").join(self._order)

    def _reach(self, level: Level) -> sql.Identifier:
        """The resource of a level above, or of the search's own."""
        self._highest = min(self._highest, level)
        return _resource(level)

    def _alias(self) -> str:
        return f"t{len(self._joins)}"

    def _add_tag(self, tag: Tag, constraint: Constraint) -> None:
        anchor = self.level
        if tag in COMPUTED_TAGS:  # ModalitiesInStudy, as is_in_index says
            tag, place = _MODALITY, Place(Level.SERIES, is_identifier=False)
            anchor = min(anchor, Level.STUDY)
        else:
            found = place_of(tag, self.level)
            assert found is not None
            place = found
        # Identifiers are what has an index; where they do not decide, the main tags have the last word.
        decides = place.is_identifier and is_said_by_identifier(constraint)
        if place.level > anchor:
            self._add_below(tag, (anchor, place.level), constraint, place.is_identifier, decides)
            return
        if place.is_identifier:
            self._add_test("DicomIdentifiers", tag, place.level, constraint, test_of_identifier)
        if not decides:
            self._add_test("MainDicomTags", tag, place.level, constraint, test_of_value)

    def _add_test(self, table: str, tag: Tag, level: Level, constraint: Constraint, test_of: Test) -> None:
        alias = self._alias()
        parts: dict[str, sql.Composable] = {
            "tags": sql.Identifier(table.lower()),
            "group": self.bound.bind(tag[0]),
            "element": self.bound.bind(tag[1]),
            "test": test_of(constraint, sql.Identifier(alias, "value"), self.bound),
        }
        self._joins.append(piece("tag", alias=sql.Identifier(alias), resource=self._reach(level), **parts))

    def _add_below(
        self, tag: Tag, way: tuple[Level, Level], constraint: Constraint, is_identifier: bool, decides: bool
    ) -> None:
        """One resource below has to pass all tests: two that pass one each do not make a match."""
        anchor, level = way
        steps = range(1, level - anchor)
        joins = [piece("children", child=_below(step), parent=_below(step - 1)) for step in steps]
        group, element = map(self.bound.bind, tag)
        parts: dict[str, sql.Composable] = {
            "group": group,
            "element": element,
            "joins": sql.SQL("\n").join(joins),
            "below": _below(level - anchor - 1),
            "resource": self._reach(anchor),
        }
        if not is_identifier:
            test = test_of_value(constraint, sql.Identifier("t", "value"), self.bound)
            wheres = self._late if anchor == self.level else self._wheres
            wheres.append(piece("tag_below", test=test, **parts))
            return
        value: sql.Composable = sql.SQL("")
        if not decides:
            test = test_of_value(constraint, sql.Identifier("v", "value"), self.bound)
            value = piece("value_below", group=group, element=element, test=test)
        test = test_of_identifier(constraint, sql.Identifier("t", "value"), self.bound)
        self._wheres.append(piece("identifier_below", value=value, test=test, **parts))

    def _add_metadata(self, kind: int, constraint: Constraint) -> None:
        alias = self._alias()
        test = test_of_value(constraint, sql.Identifier(alias, "value"), self.bound)
        parts = {"alias": sql.Identifier(alias), "resource": self.found}
        self._joins.append(piece("metadata", kind=self.bound.bind(kind), test=test, **parts))

    def _add_labels(self, labels: Sequence[str], constraint: LabelsConstraint) -> None:
        different = list(dict.fromkeys(labels))
        if not different:
            if constraint == "None":
                self._wheres.append(piece("unlabelled", resource=self.found))
            return
        parts: dict[str, sql.Composable] = {"resource": self.found, "labels": self.bound.bind(different)}
        if constraint == "All":
            parts["number"] = self.bound.bind(len(different))
        self._wheres.append(piece(f"labels_{constraint.lower()}", **parts))

    def _add_order(self, key: OrderKey) -> None:
        alias = sql.Identifier(self._alias())
        if isinstance(key.subject, int):
            join = piece("order_metadata", alias=alias, resource=self.found, kind=self.bound.bind(key.subject))
        else:
            place = place_of(key.subject, self.level)
            if place is None or place.level > self.level:
                raise UnusableQuery(f"nothing can be sorted by the tag {hexadecimal(key.subject)} at this level")
            group, element = map(self.bound.bind, key.subject)
            join = piece("order_tag", alias=alias, resource=self._reach(place.level), group=group, element=element)
        self._joins.append(join)
        direction = sql.SQL("DESC" if key.descends else "ASC")
        self._order.append(piece(f"order_{key.reading}", alias=alias, direction=direction))


def _resource(level: Level) -> sql.Identifier:
    return sql.Identifier(f"r{int(level)}")


def _below(step: int) -> sql.Identifier:
    return sql.Identifier("c" if step == 0 else f"c{step}")
