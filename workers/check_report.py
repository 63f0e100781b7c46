"""Where ``orthanc-cluster check`` tells what it found: a report of JSON lines, and a table at the end."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.table import Table

from cluster.reconciliation.comparison import Seen
from cluster.reconciliation.findings import Finding, Kind

_COMPARED = "compared_upto"


class Report:
    """The file: a line for each finding, one whenever a range is done, one at the end. A context manager."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.begin = 0
        """The key from which on rows and files are still to be compared."""
        self.found: Counter[Kind] = Counter()
        self.settled: Counter[Kind] = Counter()
        if resume:
            for line in self._lines():
                self._remember(line)
        self._file = path.open("a" if resume else "w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def left(self) -> int:
        """Findings that are not settled."""
        return self.found.total() - self.settled.total()

    def add(self, finding: Finding) -> None:
        """Write one finding."""
        self.found[finding.kind] += 1
        self.settled[finding.kind] += finding.settled is not None
        self._write(finding.as_json())

    def compared(self, key: int) -> None:
        """A range is done; a run that is interrupted can go on here."""
        self._write({_COMPARED: key})
        self._file.flush()
        os.fsync(self._file.fileno())

    def end(self, seen: Seen) -> None:
        """All is done."""
        summary = {kind.value: count for kind, count in self.found.items()}
        self._write({"summary": summary, "rows": seen.rows, "files": seen.files, "bytes": seen.size})

    def table(self, seen: Seen, seconds: float) -> Table:
        """What there is to be seen at the end."""
        title = f"{seen.rows:,} rows and {seen.files:,} files in {seconds:.1f} s"
        table = Table("finding", "number", "settled", title=title)
        for kind in Kind:
            found, settled = self.found[kind], self.settled[kind]
            table.add_row(kind.value, f"{found:,}", f"{settled:,}", style="bold red" if found > settled else "")
        if seen.young:
            table.add_row("young file without row (no finding)", f"{seen.young:,}", "")
        return table

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        for line in self.path.read_text("utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return  # the last one, of a run that was killed

    def _remember(self, line: dict[str, Any]) -> None:
        self.begin = line.get(_COMPARED, self.begin)
        if "finding" in line:
            self.found[Kind(line["finding"])] += 1
            self.settled[Kind(line["finding"])] += "settled" in line

    def _write(self, values: dict[str, Any]) -> None:
        self._file.write(json.dumps(values, ensure_ascii=False) + "\n")
