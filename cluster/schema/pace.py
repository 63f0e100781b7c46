"""How long a transaction of a long work takes, and how much of the time the work: it is never in anybody's way."""

import time
from collections.abc import Callable

import psycopg

from cluster.errors import SerializationConflict

_SECONDS = 0.2
_CONFLICTS = 20


class Pace:
    """How many rows or keys the next transaction is about, and the pause before it.

    A transaction takes about a fifth of a second, whatever the machine: longer ones would keep writers waiting for a
    row, shorter ones pay too much for their commits.
    """

    def __init__(self, smallest: int, largest: int, share: float, pause: Callable[[float], None]) -> None:
        """
        Args:
            smallest: also the first one.
            share: of the time that may be worked, above 0 and up to 1.
            pause: waits for some seconds, or raises what ends the work.
        """
        self.size = smallest
        self._smallest = smallest
        self._largest = largest
        self._share = share
        self._pause = pause

    def worked(self, seconds: float) -> None:
        """A transaction took so long: choose the next one's size, and rest."""
        # Half to twice as many next time, towards the time that a transaction shall take.
        size = self.size * max(0.5, min(2.0, _SECONDS / seconds))
        self.size = int(max(self._smallest, min(self._largest, size)))
        self.rest(seconds)

    def rest(self, seconds: float) -> None:
        """Pause, for something that took so long."""
        self._pause(seconds * (1 / self._share - 1))


def in_spite_of_others(name: str, work: Callable[[], int]) -> int:
    """Do a transaction and return what it does, after some attempts: whoever deletes resources may be in the way.

    Raises:
        SerializationConflict: they were too often.
    """
    for attempt in range(_CONFLICTS):
        try:
            return work()
        except (psycopg.errors.DeadlockDetected, psycopg.errors.ForeignKeyViolation, psycopg.errors.LockNotAvailable):
            time.sleep(0.02 * attempt)
    raise SerializationConflict(f"{name}: other sessions were in the way {_CONFLICTS} times")
