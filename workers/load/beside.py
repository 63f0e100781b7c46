"""What goes on beside the senders: searches, deletions, and reading of the servers' metrics. All note what they see."""

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

from cluster.dicom.levels import Level
from cluster.errors import ClusterError
from workers.load.http_check import HttpArchive
from workers.load.ledger import Ledger

_SCRAPE_SECONDS = 1.0
_SCRAPE_TIMEOUT_SECONDS = 5.0


class Searchable(Protocol):
    """An archive that can be searched."""

    def find(self, level: Level, value: str) -> Sequence[str]:
        """What has this identifier; raises ClusterError."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What is to go on."""

    archive: Searchable | None = None
    queries_per_second: float = 0.0
    deletes_per_second: float = 0.0
    """Needs an `archive` with Orthanc's REST API."""
    metrics: Sequence[str] = ()
    """Addresses of Prometheus pages."""

    @contextmanager
    def going_on(self, ledger: Ledger) -> Iterator[None]:
        """Until the block ends."""
        stopping = threading.Event()
        work: list[Callable[[], None]] = [partial(_scrape, ledger, url, stopping) for url in self.metrics]
        if self.archive is not None and self.queries_per_second > 0:
            search = partial(_search, ledger, self.archive)
            work.append(partial(_repeatedly, search, self.queries_per_second, stopping))
        if isinstance(self.archive, HttpArchive) and self.deletes_per_second > 0:
            delete = partial(_delete, ledger, self.archive)
            work.append(partial(_repeatedly, delete, self.deletes_per_second, stopping))
        threads = [threading.Thread(target=each, daemon=True) for each in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()


def _repeatedly(act: Callable[[float], None], per_second: float, stopping: threading.Event) -> None:
    """Act at even distances, with a place in the ledger from 0 to 1; what was late is not made up for."""
    random = Random(0)  # noqa: S311 (test data)
    due = time.monotonic()
    while not stopping.wait(max(0.0, due - time.monotonic())):
        due = max(due + 1 / per_second, time.monotonic() - 1)
        act(random.random())


def _search(ledger: Ledger, archive: Searchable, place: float) -> None:
    """Look for a study that was acknowledged, so that every search has something to find."""
    study = ledger.a_study(place)
    if study is None:
        return
    began = time.monotonic()
    failure = ""
    try:
        # What was not found may have been deleted meanwhile.
        if not archive.find(Level.STUDY, study) and ledger.is_expected(study):
            failure = "an acknowledged study is not found"
    except ClusterError as error:
        failure = str(error)
    ledger.search(began, time.monotonic() - began, failure)


def _delete(ledger: Ledger, archive: HttpArchive, place: float) -> None:
    """Delete an acknowledged instance, which the senders are done with."""
    began = time.monotonic()
    public_id = ledger.to_delete(place, began)
    if public_id is None:
        return
    failure = ""
    try:
        archive.delete(public_id)
    except ClusterError as error:
        failure = str(error)
    ledger.deletion(public_id, time.monotonic() - began, failure)


def _scrape(ledger: Ledger, url: str, stopping: threading.Event) -> None:
    """Read a Prometheus page at the beginning, again and again, and at the end."""
    while not stopping.wait(_read(ledger, url)):
        pass
    _read(ledger, url)


def _read(ledger: Ledger, url: str) -> float:
    """Note sums over labels, so that hours of it stay small; returns the pause until the next time."""
    try:
        with urllib.request.urlopen(url, timeout=_SCRAPE_TIMEOUT_SECONDS) as answer:  # noqa: S310 (given by the user)
            families = list(text_string_to_metric_families(answer.read().decode()))
    except (OSError, ValueError):
        return _SCRAPE_SECONDS  # a gap in the plot is what it looks like
    ledger.metrics(time.monotonic(), url, dict(_sums(families)))
    return _SCRAPE_SECONDS


def _sums(families: Sequence[object]) -> Iterator[tuple[str, float]]:
    for family in families:
        samples = [
            sample
            for sample in family.samples  # type: ignore[attr-defined]
            if not sample.name.endswith(("_bucket", "_created"))
        ]
        for name in {sample.name for sample in samples}:
            yield name, sum(sample.value for sample in samples if sample.name == name)
