"""Senders without pause: they begin, go on whatever happens, and stop when told to; then the archive is compared."""

import itertools
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cluster.config import Settings
from cluster.database import Database
from workers.load.check import Findings, check
from workers.load.fleet import fleet
from workers.load.ledger import Ledger
from workers.load.plan import portions
from workers.load.sender import NO_ASSOCIATION, Assignment, Target
from workers.local.children import wait_until

_ENDLESS = 10**9
_TIME_LIMIT_SECONDS = 900.0
"""For one instance: a sender waits through everything that a scenario does."""
_BETWEEN_OBJECTS = (NO_ASSOCIATION, "the peer released the association", "status 0xA7")
"""How attempts fail of which the node had begun to take nothing, or said itself that it did not store it."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the senders saw, and what the archive says of it.

    Attributes:
        planned: instances of which a sender made at least one attempt.
        failures: failed attempts by reason.
    """

    planned: int
    acknowledged: int
    acknowledged_at: list[float]
    failures: Counter[str]
    findings: Findings

    @property
    def lost_nothing(self) -> bool:
        """Every instance was acknowledged in the end, and is in the archive once, as it was sent."""
        return self.planned == self.acknowledged > 0 and self.findings.clean

    @property
    def broken(self) -> Counter[str]:
        """Attempts that ended in the middle of an object, or in another way that a sender has to worry about."""
        return Counter({why: n for why, n in self.failures.items() if not why.startswith(_BETWEEN_OBJECTS)})

    def longest_silence(self, since: float, until: float) -> float:
        """The longest time without an acknowledged instance in between."""
        return longest_pause(self.acknowledged_at, since, until)

    def during(self, since: float, until: float) -> int:
        """How many instances were acknowledged in between."""
        return sum(since < at < until for at in self.acknowledged_at)


class Senders:
    """Context manager: sending inside."""

    def __init__(self, port: int, settings: Settings, folder: Path, count: int) -> None:
        self.acknowledged = 0
        self._settings = settings
        self._file = folder / "ledger.sqlite"
        self._assignments = [
            Assignment(
                sender=number,
                portion=portion,
                size="small",
                seed=1,
                targets=(Target("127.0.0.1", port),),
                calling_aet="REHEARSAL",
                called_aet=settings.dicom.aet,
                time_limit_seconds=_TIME_LIMIT_SECONDS,
            )
            for number, portion in enumerate(portions(count, _ENDLESS, shared_studies=count > 1))
        ]
        self._begun = threading.Event()
        self._stopped = threading.Event()
        self._broken_off = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="senders")
        self._traffic: Future[Traffic] | None = None

    def __enter__(self) -> Self:
        self._traffic = self._pool.submit(self._run)
        assert wait_until(lambda: self._begun.is_set() or self._traffic.done(), 120), "the senders did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._broken_off.set()
        self._pool.shutdown()

    def wait_for(self, instances: int, seconds: float = 120) -> None:
        """Until so many more were acknowledged."""
        wanted = self.acknowledged + instances
        wait_until(lambda: self.acknowledged >= wanted or self._traffic.done(), seconds)
        assert self.acknowledged >= wanted, f"{self.acknowledged} of {wanted} instances after {seconds} s"

    def finish(self) -> Traffic:
        """Let each sender end with the instance that it is at, and compare the ledger with the archive."""
        assert self._traffic is not None
        self._stopped.set()
        return self._traffic.result(_TIME_LIMIT_SECONDS)

    def _run(self) -> Traffic:
        with Ledger(self._file) as ledger:
            with fleet(self._assignments) as senders:
                senders.go()
                self._begun.set()
                told = False
                for report in senders.reports():
                    ledger.add(report)
                    self.acknowledged += sum(delivery.acknowledged_at is not None for delivery in report)
                    if self._stopped.is_set() and not told:
                        senders.stop()
                        told = True
                    if self._broken_off.is_set():
                        raise RuntimeError("the scenario ended before its senders")
            return self._compared(ledger)

    def _compared(self, ledger: Ledger) -> Traffic:
        planned, acknowledged, _, _ = ledger.totals()
        database = Database(self._settings.postgresql)
        database.open()
        try:
            findings = check(ledger, database, self._settings.storage_directory)
        finally:
            database.close()
        return Traffic(planned, acknowledged, _times(self._file), Counter(ledger.failures()), findings)


def longest_pause(times: Iterable[float], since: float, until: float) -> float:
    """The longest time between two of these, or between one and an end of the interval."""
    within = [since, *sorted(at for at in times if since < at < until), until]
    return max(later - earlier for earlier, later in itertools.pairwise(within))


def _times(file: Path) -> list[float]:
    query = "SELECT acknowledged_at FROM deliveries WHERE acknowledged_at IS NOT NULL ORDER BY 1"
    connection = sqlite3.connect(file)
    try:
        return [at for (at,) in connection.execute(query)]
    finally:
        connection.close()
