"""What goes on beside the senders: searches over HTTP, and reading of the servers' metrics. Both note what they see."""

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

from prometheus_client.parser import text_string_to_metric_families

from cluster.dicom.levels import Level
from cluster.errors import ClusterError
from workers.load.http_check import HttpArchive
from workers.load.ledger import Ledger

_SCRAPE_SECONDS = 1.0
_SCRAPE_TIMEOUT_SECONDS = 5.0


@contextmanager
def beside(
    ledger: Ledger, archive: HttpArchive | None, queries_per_second: float, metrics: Sequence[str]
) -> Iterator[None]:
    """Search and scrape until the block ends."""
    stopping = threading.Event()
    work: list[Callable[[], None]] = [lambda url=url: _scrape(ledger, url, stopping) for url in metrics]  # type: ignore[misc]
    if archive is not None and queries_per_second > 0:
        work.append(lambda: _search(ledger, archive, 1 / queries_per_second, stopping))
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _search(ledger: Ledger, archive: HttpArchive, pause_seconds: float, stopping: threading.Event) -> None:
    """Look for studies that were acknowledged, so that every search has something to find."""
    random = Random(0)  # noqa: S311 (test data)
    due = time.monotonic()
    while not stopping.wait(max(0.0, due - time.monotonic())):
        due = max(due + pause_seconds, time.monotonic() - 1)
        study = ledger.a_study(random.random())
        if study is None:
            continue
        began = time.monotonic()
        failure = ""
        try:
            if not archive.find(Level.STUDY, study):
                failure = "an acknowledged study is not found"
        except ClusterError as error:
            failure = str(error)
        ledger.search(began, time.monotonic() - began, failure)


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
