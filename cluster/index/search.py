"""What can be asked of the index: the words of /tools/find, understood (interop/rest.md 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import Tag
from cluster.index.constraints import Constraint

LabelsConstraint = Literal["All", "Any", "None"]

TagConstraint = tuple[Tag, Constraint]


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One thing to sort by: a tag, or a metadata of the resource by its number."""

    subject: Tag | int
    reading: Literal["text", "integer", "float"] = "text"
    descends: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """Resources of one level that fulfil all conditions.

    Attributes:
        indexed_tags: what the index can answer.
        file_tags: what needs a DICOM file of each candidate.
        ancestors: public ids that the resource itself or those above it must have.
        labels_constraint: with ``None`` and no labels: resources that have none at all.
    """

    level: Level
    indexed_tags: Sequence[TagConstraint] = ()
    file_tags: Sequence[TagConstraint] = ()
    metadata: Sequence[tuple[int, Constraint]] = ()
    labels: Sequence[str] = ()
    labels_constraint: LabelsConstraint = "All"
    ancestors: Mapping[Level, str] = field(default_factory=dict)
    order: Sequence[OrderKey] = ()
