"""What the routes work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cluster.config import Settings
from cluster.database import Database
from cluster.errors import NodeBusy
from cluster.ingest.intake import Intake
from cluster.storage.area import StorageArea
from workers.http.change_feed import ChangeFeed
from workers.http.threads import ThreadPool

# An upload spends its life waiting: for the sender's bytes, then for the commit that it shares with others.
UPLOAD_THREADS = 32
UPLOADS_WAITING = 64

# Writes other than uploads are short, but for the deletion of a large study.
WRITE_THREADS = 4
WRITES_WAITING = 256

# Reads wait for one of the few connections of the pool; more threads than this would wait with them.
READ_THREADS = 8
READS_WAITING = 256


class Wakes(Protocol):
    """Who wakes workers up, without waiting for them."""

    def for_job(self) -> None:
        """A job was added."""

    def for_import(self) -> None:
        """An import goes on."""


@dataclass(frozen=True, slots=True)
class Services:
    """One process's archive as the HTTP door sees it."""

    settings: Settings
    intake: Intake
    database: Database
    storage: StorageArea
    readiness: Callable[[], str | None]
    """None if this node is ready, else the reason; answers at once, from memory."""
    metrics: Callable[[], bytes]
    """All metrics in Prometheus' text format."""
    started: Callable[[], bool]
    """Whether this node was ready once."""
    feed: ChangeFeed
    """New changes for those who wait for them."""
    reset: Callable[[], None]
    """Asks for this node to begin anew; returns at once."""
    waker: Wakes
    """Wakes workers up for new jobs; returns at once."""
    uploads: ThreadPool = field(default_factory=lambda: ThreadPool("upload", UPLOAD_THREADS, UPLOADS_WAITING))
    reads: ThreadPool = field(default_factory=lambda: ThreadPool("read", READ_THREADS, READS_WAITING))
    writes: ThreadPool = field(default_factory=lambda: ThreadPool("write", WRITE_THREADS, WRITES_WAITING))
    scrapes: ThreadPool = field(default_factory=lambda: ThreadPool("scrape", 1, 8))

    def require_ready(self) -> None:
        """Raise NodeBusy, with the reason, unless this node is ready."""
        reason = self.readiness()
        if reason is not None:
            raise NodeBusy(f"this node is not ready: {reason}")

    def close(self) -> None:
        """Let the threads go."""
        for pool in (self.uploads, self.reads, self.writes, self.scrapes, self.feed.threads):
            pool.close()
