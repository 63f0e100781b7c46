"""The files of an import, and why some of them are refused, in the form in which PostgreSQL keeps them."""

import os
from dataclasses import dataclass
from typing import Any, Literal

RefusedOutcome = Literal["not_dicom", "failed"]


@dataclass(frozen=True, slots=True)
class ImportFile:
    """One file, or one member of a ZIP archive.

    `path` is absolute and as `os.fsdecode` gives it, so that any name a file can have survives.
    """

    path: str
    member: str | None = None
    index: int | None = None
    """Place of the member in the archive's central directory: an archive may hold a name twice."""

    def to_json(self) -> dict[str, Any]:
        """As in the column `files` of cluster.import_chunks; JSON cannot hold a path that is not UTF-8."""
        try:
            self.path.encode("utf-8")
        except UnicodeEncodeError:
            values: dict[str, Any] = {"path_bytes": os.fsencode(self.path).hex()}
        else:
            values = {"path": self.path}
        if self.member is not None:
            values |= {"member": self.member, "index": self.index}
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ImportFile":
        """The opposite of `to_json`; other keys are ignored."""
        path = os.fsdecode(bytes.fromhex(values["path_bytes"])) if "path_bytes" in values else values["path"]
        return cls(path, values.get("member"), values.get("index"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that is not in the archive after the import, with the reason."""

    file: ImportFile
    outcome: RefusedOutcome
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As in the column `refused` of cluster.import_chunks."""
        return self.file.to_json() | {"outcome": self.outcome, "reason": printable(self.reason)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Refusal":
        """The opposite of `to_json`."""
        return cls(ImportFile.from_json(values), values["outcome"], values["reason"])


def printable(text: str) -> str:
    """`text` as valid Unicode on one line, for JSON, PostgreSQL and terminals; what is not becomes an escape."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
