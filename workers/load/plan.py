"""Who sends what: instances dealt out to senders before anything runs.

A stream is an endless row of instances, study after study. A sender that works alone has a stream of its own. Senders
that share take turns in one common stream, so that neighbouring instances of one series come from different senders
at the same time: the case in which an index can lose or double a series, study or patient.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from workers.load.studies import Size, SyntheticStudy, kinds_of
from workers.load.synthetic import SyntheticInstance, SyntheticSeries


@dataclass(frozen=True, slots=True)
class Portion:
    """What one sender sends: the instances of a stream with these numbers."""

    stream: str
    numbers: range


def portions(senders: int, instances: int, shared_studies: bool) -> list[Portion]:
    """Deal out `instances` as evenly as possible; half of the senders (at least two) share studies if wanted.

    A sender for whom nothing is left gets an empty portion.
    """
    quotas = [len(range(sender, instances, senders)) for sender in range(senders)]
    sharing = min(max(2, senders // 2), senders) if shared_studies else 0
    common = sum(quotas[:sharing])
    dealt = [Portion("shared", range(sender, common, sharing)) for sender in range(sharing)]
    dealt += [Portion(str(sender), range(quotas[sender])) for sender in range(sharing, senders)]
    return dealt


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
