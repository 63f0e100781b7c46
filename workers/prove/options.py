"""What a run does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.prove.faults import FAULTS
from workers.prove.stage import PROGRAM


@dataclass(frozen=True, slots=True)
class ProveOptions:
    """`faults` are names of workers/prove/faults.py; none: histories without faults."""

    folder: Path
    seed: int
    seconds: float = 60.0
    nodes: int = 3
    writers: int = 8
    revisers: int = 3
    followers: int = 2
    importers: int = 1
    faults: Sequence[str] = tuple(name for group in FAULTS.values() for name in group)
    pause_seconds: float = 1.0
    """Between two faults of one injector, on average."""
    program: Sequence[str] = PROGRAM
    """Another program in place of ours, which the judge has to see through."""
