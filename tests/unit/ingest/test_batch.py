"""Who waits with whom, without files and rows: a commit that ends when the test says so."""

import threading
from types import SimpleNamespace

import pytest

from cluster.ingest.batch import GroupCommit
from cluster.ingest.commit import Stored
from workers.local.children import wait_until


class SlowCommit:
    """Batches that have left, each in flight until it is let go."""

    def __init__(self):
        self.batches = []
        self._ends = []

    def __call__(self, batch):
        ended = threading.Event()
        self.batches.append(len(batch))
        self._ends.append(ended)
        assert ended.wait(20)
        return [Stored(staged.instance.public_ids, "Success") for staged in batch]

    def end(self, number):
        self._ends[number].set()

    def end_all(self):
        for end in self._ends:
            end.set()


@pytest.fixture
def commit():
    commit = SlowCommit()
    yield commit
    commit.end_all()


@pytest.fixture
def group(commit, monkeypatch):
    monkeypatch.setattr("cluster.ingest.batch._PATIENCE_SECONDS", 30.0)
    return GroupCommit(commit, on_their_way=lambda: 0, maximum_size=8, maximum_wait_seconds=0.001, batches_in_flight=2)


def send(group, *names):
    def store(name):
        group.store(SimpleNamespace(instance=SimpleNamespace(public_ids=SimpleNamespace(instance=name))))

    threads = [threading.Thread(target=store, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    return threads


def test_a_second_batch_leaves_beside_the_first_when_it_is_twice_as_large(group, commit):
    # Given one in flight and one that waits
    send(group, "a")
    assert wait_until(lambda: commit.batches == [1], 10)
    send(group, "b")
    assert wait_until(lambda: len(group._waiting) == 1, 10)
    assert commit.batches == [1]
    # When another one comes
    send(group, "c")
    # Then both leave, although the first is still in flight
    assert wait_until(lambda: commit.batches == [1, 2], 10)


def test_whoever_waits_leaves_when_the_batch_in_flight_ends(group, commit):
    senders = send(group, "a")
    assert wait_until(lambda: commit.batches == [1], 10)
    senders += send(group, "b")
    assert wait_until(lambda: len(group._waiting) == 1, 10)
    commit.end(0)
    assert wait_until(lambda: commit.batches == [1, 1], 10)
    commit.end(1)
    for sender in senders:
        sender.join(10)
        assert not sender.is_alive()


def test_a_batch_in_flight_that_is_stuck_keeps_nobody(group, commit, monkeypatch):
    monkeypatch.setattr("cluster.ingest.batch._PATIENCE_SECONDS", 0.01)
    send(group, "a")
    assert wait_until(lambda: commit.batches == [1], 10)
    send(group, "b")
    assert wait_until(lambda: commit.batches == [1, 1], 10)


def test_the_same_instance_waits_for_the_batch_that_has_it(group, commit, monkeypatch):
    monkeypatch.setattr("cluster.ingest.batch._PATIENCE_SECONDS", 0.0)
    send(group, "a")
    assert wait_until(lambda: commit.batches == [1], 10)
    send(group, "a", "b")
    assert wait_until(lambda: commit.batches == [1, 1], 10)
    commit.end(0)
    assert wait_until(lambda: commit.batches == [1, 1, 1], 10)
