"""What a comparison can find, by name."""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from cluster.index.stored_files import NamedFile


class Kind(Enum):
    """The names are those of the report."""

    FILE_WITHOUT_ROW = "file without row"
    ROW_WITHOUT_FILE = "row without file"
    WRONG_SIZE = "wrong size"
    WRONG_MD5 = "wrong MD5"
    WRONG_TOTAL = "wrong total"
    WRONG_CHILD_COUNT = "wrong child count"
    WRONG_LAST_CHANGE = "wrong last change"


@dataclass(slots=True)
class Finding:
    """One thing that is not as it should be."""

    kind: Kind
    uuid: str | None = None
    level: str | None = None
    resource: str | None = None
    """Public id."""
    attachment: int | None = None
    """Type of the attachment."""
    stated: str | int | None = None
    found: str | int | None = None
    settled: str | None = None
    """What a repair did about it."""

    def as_json(self) -> dict[str, Any]:
        """Without what does not apply."""
        return {"finding": self.kind.value} | {
            key: value for key, value in asdict(self).items() if value is not None and key != "kind"
        }


def finding_of(
    kind: Kind, named: NamedFile, stated: str | int | None = None, found: str | int | None = None
) -> Finding:
    """About a file that a row names."""
    return Finding(kind, named.uuid, named.level.name.lower(), named.public_id, named.kind, stated, found)
