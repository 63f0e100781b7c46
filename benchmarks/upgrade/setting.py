"""What every part of the benchmark works with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.archives import Archive
from benchmarks.upgrade.log import Log
from workers.local.postgresql import LocalPostgreSQL


@dataclass(frozen=True, slots=True)
class Setting:
    """A server that has the archive as a template.

    Attributes:
        folder: empty, for configurations and logs.
        tell: shows what goes on, and notes it in
        log: what happened when.
    """

    server: LocalPostgreSQL
    archive: Archive
    folder: Path
    seed: int
    tell: Callable[[str], None]
    log: Log
