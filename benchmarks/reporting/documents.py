"""What benchmarks wrote into their folder, and why figures were missed, kept beside it.

``explanations.yaml``, in the same folder, holds by benchmark and part a list of entries: `of`, the beginnings of the
names of figures, and `why`, with the figures of the profile that shows it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Document = Mapping[str, Mapping[str, Any]]
"""What a benchmark wrote: parts by name."""

EXPLANATIONS = "explanations.yaml"
PACK = "pack.json"
"""Of the proof pack, which lies in the same folder and is no result."""


@dataclass(frozen=True, slots=True)
class Found:
    """A figure and where it is from."""

    result: str
    part: str
    figure: Mapping[str, Any]

    @property
    def missed(self) -> bool:
        """Whether something was wanted of it that it does not reach."""
        return not self.figure["met"]


@dataclass(frozen=True, slots=True)
class Explanations:
    """Why figures were missed."""

    entries: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> "Explanations":
        """Those of the folder; none if it has none."""
        file = folder / EXPLANATIONS
        return cls(yaml.safe_load(file.read_text("utf-8")) or {}) if file.exists() else cls()

    def why(self, found: Found) -> str | None:
        """The text for a figure, if there is one."""
        for entry in self.entries.get(found.result, {}).get(found.part, ()):
            if any(found.figure["name"].startswith(beginning) for beginning in entry["of"]):
                return " ".join(entry["why"].split())
        return None


def documents(folder: Path) -> dict[str, Document]:
    """Everything that benchmarks wrote into that folder, by benchmark."""
    files = [file for file in sorted(folder.glob("*.json")) if file.name != PACK]
    return {file.stem: json.loads(file.read_text("utf-8")) for file in files}


def figures(results: Mapping[str, Document]) -> Iterator[Found]:
    """All figures."""
    for result, document in results.items():
        for part, found in document.items():
            for figure in found["figures"]:
                yield Found(result, part, figure)
