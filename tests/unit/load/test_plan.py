"""Every instance has exactly one sender, and sharing senders meet in the same series."""

import pytest

from workers.load.plan import instances_of, portions
from workers.load.studies import SMALL


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("senders", "instances"), [(2, 1), (3, 7), (16, 200), (5, 130)])
def test_every_instance_is_sent_by_one_sender(senders: int, instances: int, shared: bool) -> None:
    # When instances are dealt out
    dealt = portions(senders, instances, shared)
    uids = [instance.sop_instance_uid for portion in dealt for instance in instances_of(portion, size="small", seed=1)]

    # Then each is there once, and nobody has more than one more than another
    assert len(dealt) == senders
    assert len(uids) == len(set(uids)) == instances
    sizes = {len(portion.numbers) for portion in dealt}
    assert max(sizes) - min(sizes) <= 1


def test_half_of_the_senders_share_every_series() -> None:
    # Given four of eight senders that share 100 instances
    dealt = portions(8, 200, shared_studies=True)
    series = [
        {instance.series_instance_uid for instance in instances_of(portion, size="small", seed=1)} for portion in dealt
    ]

    # Then these four have all their series in common, and the others none with anybody
    common = 100 // SMALL.instances_per_series
    assert len(set.union(*series[:4])) == common
    assert all(len(own) == common for own in series[:4])
    assert len(set.union(*series[4:])) == sum(map(len, series[4:]))
    assert not set.union(*series[:4]) & set.union(*series[4:])


def test_neighbours_in_a_shared_series_come_from_different_senders() -> None:
    # Given two sharing senders
    one, other = portions(2, 50, shared_studies=True)

    # Then they take turns
    assert list(one.numbers) == list(range(0, 50, 2))
    assert list(other.numbers) == list(range(1, 50, 2))


def test_mixed_studies_take_turns() -> None:
    # Given a stream long enough for one study of each kind
    (portion,) = portions(1, 152, shared_studies=False)
    instances = list(instances_of(portion, size="mixed", seed=1))

    # Then there are CT in two sizes, MR and CR, two series each
    sizes = sorted({len(instance.data_set) // 1000 for instance in instances})
    assert len({instance.study_instance_uid for instance in instances}) == 4
    assert len({instance.series_instance_uid for instance in instances}) == 8
    assert [size < 40 or 130 < size < 135 or 520 < size < 530 or size > 2600 for size in sizes] == [True] * len(sizes)
    assert len(sizes) >= 4


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("senders", "instances"), [(2, 1), (4, 10), (5, 23)])
def test_files_are_dealt_out_without_gap_or_overlap(senders: int, instances: int, shared: bool) -> None:
    dealt = portions(senders, instances, shared, of_files=True)
    assert sorted(number for portion in dealt for number in portion.numbers) == list(range(instances))
