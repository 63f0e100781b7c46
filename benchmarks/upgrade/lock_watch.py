"""Who waits for locks, and for how long, seen from outside: one connection that looks every few milliseconds."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from cluster.database.queries import queries

PAUSE_SECONDS = 0.005
EXCLUSIVE = ""
"""Name under which the exclusive lock on Resources is recorded."""

_SQL = queries("benchmarks", "watch.sql")


@dataclass(frozen=True, slots=True)
class Spell:
    """Something lasted from `since` to `until` at most: the looks before it began and after it ended."""

    name: str
    since: float
    until: float

    @property
    def seconds(self) -> float:
        return self.until - self.since

    def overlaps(self, since: float, until: float) -> bool:
        return self.since < until and since < self.until


@dataclass(slots=True)
class Spells:
    """Makes spells from looks, never too short ones."""

    ended: list[Spell] = field(default_factory=list)
    _open: dict[str, float] = field(default_factory=dict)
    _last_look: float | None = None

    def look(self, now: float, names: set[str]) -> None:
        """What was seen at that time."""
        for name in [name for name in self._open if name not in names]:
            self.ended.append(Spell(name, self._open.pop(name), now))
        for name in names:
            self._open.setdefault(name, now if self._last_look is None else self._last_look)
        self._last_look = now


@contextmanager
def watching(uri: str, name_begins: str) -> Iterator[Spells]:
    """Watch the sessions of the database whose application name begins like that, while the block runs."""
    spells = Spells()
    over = threading.Event()
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            _watch(uri, name_begins, spells, over)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=watch, name="lock watch")
    thread.start()
    try:
        yield spells
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]


def _watch(uri: str, name_begins: str, spells: Spells, over: threading.Event) -> None:
    with psycopg.connect(uri, autocommit=True, application_name="benchmark watch") as connection:
        while not over.wait(PAUSE_SECONDS):
            rows = connection.execute(_SQL["look"], {"pattern": f"{name_begins}%"}).fetchall()
            spells.look(time.time(), {name for (name,) in rows})
        spells.look(time.time(), set())
