"""Synthetic Part 10 files for senders that read files, and new UIDs for them at the price of a few bytes each.

Every UID and PatientID of a corpus contains the same 14 digits. To be sent once more as different instances, files
are not written again: those digits are, in place.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cluster.dicom.part10 import file_meta_information
from workers.load.studies import CT, SMALL, Kind, SyntheticStudy
from workers.load.synthetic import SyntheticSeries

Mix = Literal["distinct", "study", "series", "alone"]
MIXES: dict[Mix, str] = {
    "distinct": "each sender its own studies of 2 series of 25 instances",
    "study": "all senders one study, each a series of its own",
    "series": "all senders one series",
    "alone": "each instance a patient, study and series of its own",
}

Size = Literal["30 KB", "526 KB"]
SIZES: dict[Size, Kind] = {"30 KB": SMALL, "526 KB": CT}

_MEMORY = Path("/dev/shm")
_DIGITS = 14
_MOST_STUDIES = 10_000
"""Of one sender."""


class _Study(SyntheticStudy):
    """A study whose UIDs all have the same length and contain its stream, which are the digits of the corpus."""

    __slots__ = ()

    @property
    def patient_id(self) -> str:
        return f"BENCH{self.stream}-{self.number}"

    def uid(self, *parts: str | int) -> str:
        numbers = [part if isinstance(part, int) else 9999 for part in parts]
        series, instance = (number + 1 for number in (*numbers, -1, -1)[:2])
        return f"2.25.1{self.stream}{self.number:07}{series:05}{instance:06}"


@dataclass(slots=True)
class Corpus:
    """Files in one folder a sender.

    Attributes:
        folders: one for each sender, with its files only.
        file_bytes: the size of one file.
    """

    folders: Sequence[Path]
    instances: int
    file_bytes: int
    _digits: str
    _places: dict[Path, list[int]] = field(repr=False)

    def files(self, sender: int) -> list[Path]:
        """The files of one sender, from 0."""
        return sorted(self.folders[sender].iterdir())

    def refresh(self) -> None:
        """Give all instances, series, studies and patients UIDs that nobody has seen."""
        digits = _new_digits()
        for path, places in self._places.items():
            with path.open("r+b", buffering=0) as file:
                for place in places:
                    file.seek(place)
                    file.write(digits.encode("ascii"))
        self._digits = digits


def write_corpus(folder: Path, *, senders: int, instances_each: int, size: Size, mix: Mix) -> Corpus:
    """Write the files of a corpus below `folder`, which need not exist."""
    digits = _new_digits()
    folders, places, file_bytes = [], {}, 0
    for sender in range(senders):
        own = folder / f"sender-{sender:03}"
        own.mkdir(parents=True)
        folders.append(own)
        for number, (uid_class, uid, syntax, data_set) in enumerate(
            _instances(sender, instances_each, size, mix, digits)
        ):
            content = file_meta_information(uid_class, uid, syntax) + data_set
            path = own / f"{number:06}.dcm"
            path.write_bytes(content)
            places[path] = list(_places(content, digits.encode("ascii")))
            file_bytes = len(content)
    return Corpus(folders, senders * instances_each, file_bytes, digits, places)


@contextmanager
def corpus(*, senders: int, instances_each: int, size: Size, mix: Mix = "distinct") -> Iterator[Corpus]:
    """A corpus in memory (tmpfs) where the machine has room for it there, else in the temporary folder."""
    needed = int(1.2 * senders * instances_each * 2 * SIZES[size].rows * SIZES[size].columns)
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > needed
    with tempfile.TemporaryDirectory(prefix="corpus-", dir=_MEMORY if in_memory else None) as folder:
        yield write_corpus(Path(folder), senders=senders, instances_each=instances_each, size=size, mix=mix)


def _instances(sender: int, count: int, size: Size, mix: Mix, digits: str) -> Iterator[tuple[str, str, str, bytes]]:
    kind = SIZES[size]
    assert count < _MOST_STUDIES
    made: dict[tuple[int, int], SyntheticSeries] = {}
    for number in range(count):
        study, series, instance = _numbers(sender, number, count, kind, mix)
        if (study, series) not in made:
            made = {(study, series): SyntheticSeries(_Study(0, digits, study, kind), series)}
        one = made[study, series].instance(instance)
        yield one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax_uid, one.data_set


def _numbers(sender: int, number: int, count: int, kind: Kind, mix: Mix) -> tuple[int, int, int]:
    """Numbers of study, series in it and instance in that, for the instance of that number of a sender."""
    each = kind.instances_per_series
    if mix == "distinct":
        study, rest = divmod(number, kind.series * each)
        return sender * _MOST_STUDIES + study, rest // each, rest % each
    if mix == "study":
        return 0, sender, number
    if mix == "series":
        return 0, 0, sender * count + number
    return sender * _MOST_STUDIES + number, 0, 0


def _places(content: bytes, digits: bytes) -> Iterator[int]:
    place = content.find(digits)
    while place >= 0:
        yield place
        place = content.find(digits, place + 1)


def _new_digits() -> str:
    return f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
