"""Who sends what: instances dealt out to senders before anything runs.

A stream is an endless row of instances, study after study. A sender that works alone has a stream of its own. Senders
that share take turns in one common stream, so that neighbouring instances of one series come from different senders
at the same time: the case in which an index can lose or double a series, study or patient.

A user's files are one stream for all, copy after copy: senders that work alone get a stretch of it each, so that as
many instances as there are files are each file once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count

from workers.load.files import copy_of
from workers.load.instance import Instance
from workers.load.source_file import SourceFile
from workers.load.studies import Size, SyntheticStudy, kinds_of
from workers.load.synthetic import SyntheticInstance, SyntheticSeries


@dataclass(frozen=True, slots=True)
class Portion:
    """What one sender sends: the instances of a stream with these numbers."""

    stream: str
    numbers: range


@dataclass(frozen=True, slots=True)
class Slow:
    """How many of the senders are slow, evenly among the others, and how slow."""

    percent: float
    bytes_per_second: float

    def holds_for(self, sender: int) -> bool:
        """Whether this one is."""
        return int((sender + 1) * self.percent / 100) > int(sender * self.percent / 100)


def portions(senders: int, instances: int, shared_studies: bool, *, of_files: bool = False) -> list[Portion]:
    """Deal out `instances` as evenly as possible; half of the senders (at least two) share studies if wanted.

    A sender for whom nothing is left gets an empty portion.
    """
    quotas = [len(range(sender, instances, senders)) for sender in range(senders)]
    sharing = min(max(2, senders // 2), senders) if shared_studies else 0
    common = sum(quotas[:sharing])
    dealt = [Portion("shared", range(sender, common, sharing)) for sender in range(sharing)]
    if of_files:
        ends = list(accumulate(quotas))
        dealt += [
            Portion("files", range(ends[sender] - quotas[sender], ends[sender])) for sender in range(sharing, senders)
        ]
    else:
        dealt += [Portion(str(sender), range(quotas[sender])) for sender in range(sharing, senders)]
    return dealt


def copies_of(portion: Portion, files: Sequence[SourceFile], seed: int) -> Iterator[Instance]:
    """Make the instances of a portion of files one by one. Raises OSError."""
    for number in portion.numbers:
        copy, place = divmod(number, len(files))
        yield copy_of(files[place], seed, copy)


def instances_of(portion: Portion, *, size: Size, seed: int) -> Iterator[SyntheticInstance]:
    """Make the instances of a portion one by one."""
    first = 0
    for study in _studies(portion.stream, size, seed):
        for number in range(study.kind.series):
            end = first + study.kind.instances_per_series
            series = None
            for index in _within(portion.numbers, first, end):
                series = series or SyntheticSeries(study, number)
                yield series.instance(index - first)
            first = end
            if first >= portion.numbers.stop:
                return


def _studies(stream: str, size: Size, seed: int) -> Iterator[SyntheticStudy]:
    kinds = kinds_of(size)
    return (SyntheticStudy(seed, stream, number, kinds[number % len(kinds)]) for number in count())


def _within(numbers: range, begin: int, end: int) -> range:
    """Those of `numbers` that lie from `begin` up to, not including, `end`."""
    skipped = len(range(numbers.start, min(begin, numbers.stop), numbers.step))
    until = len(range(numbers.start, min(end, numbers.stop), numbers.step))
    return numbers[skipped:until]
