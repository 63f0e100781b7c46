"""The tables that move, in an order in which each row finds what it refers to."""

from dataclasses import dataclass
from typing import Any

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind; `name` is that of the query of the source."""

    name: str
    columns: tuple[str, ...]
    key: int
    """So many of the first columns tell a row from others, and give the order."""
    first: Key
    """A key before that of every row."""
    target: str = ""
    """Where the rows go; `name` if empty."""
    only: str = "true"
    """Which rows there are ours."""

    @property
    def table(self) -> str:
        """Name of the table in PostgreSQL."""
        return self.target or self.name


_TAGS = ("id", "taggroup", "tagelement", "value")
_METADATA = ("id", "type", "value", "revision")

TABLES = (
    Table("resources", ("resourcetype", "internalid", "publicid", "parentid", "childcount"), 2, (-1, 0)),
    Table("maindicomtags", _TAGS, 3, (-1, 0, 0)),
    Table("dicomidentifiers", _TAGS, 3, (-1, 0, 0)),
    Table("metadata", _METADATA, 2, (-1, 0), only="type NOT IN (18, 19)"),
    Table("recycling", _METADATA, 1, (-1,), target="metadata", only="type IN (18, 19)"),
    Table(
        "attachedfiles",
        (
            *("id", "filetype", "uuid", "compressedsize", "uncompressedsize", "compressiontype"),
            *("uncompressedhash", "compressedhash", "revision", "customdata"),
        ),
        2,
        (-1, 0),
    ),
    Table("labels", ("id", "label"), 2, (-1, "")),
    Table("changes", ("seq", "changetype", "internalid", "resourcetype", "date"), 1, (-1,)),
    Table(
        "exportedresources",
        (
            *("seq", "resourcetype", "publicid", "remotemodality", "patientid", "studyinstanceuid"),
            *("seriesinstanceuid", "sopinstanceuid", "date"),
        ),
        1,
        (-1,),
    ),
    Table("keyvaluestores", ("storeid", "key", "value"), 2, ("", "")),
    Table("queues", ("id", "queueid", "value", "reserveduntil"), 1, (-1,)),
    Table(
        "globalproperties",
        ("property", "value"),
        1,
        (-1,),
        only="property NOT IN (1, 4, 6, 7, 10, 11, 12, 13, 14)",
    ),
)
