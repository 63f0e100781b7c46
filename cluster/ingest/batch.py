"""Group commit: who waits with whom, for how long, how many at most.

Committer threads take what has gathered. While one batch is being made durable and committed, the next gathers, so
batches grow with the load by themselves. Waiting on purpose is only worth while another instance is on its way in:
a lone sender never waits for company. Beside a batch in flight another one leaves when it is twice as large, or when
the one in flight takes its time: where PostgreSQL is near, batches side by side cost more processor than they save
time; where it is far or busy, they double what is stored.

The same instance is never in two batches at a time: the second one waits for the first to end and then finds it
stored.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from cluster import telemetry, tracing
from cluster.errors import ClusterError, NodeBusy
from cluster.failpoints import failpoint
from cluster.ingest.commit import Outcome, Staged, Stored

_LOG = logging.getLogger(__name__)

_PATIENCE_SECONDS = 0.005
"""How long a batch waits for the one in flight to end; with PostgreSQL and disk near, that takes 3 to 5 ms."""

CommitBatch = Callable[[Sequence[Staged]], list[Outcome]]


class _Ticket:
    __slots__ = ("batch", "done", "outcome", "point", "since", "staged", "taken")

    def __init__(self, staged: Staged) -> None:
        self.staged = staged
        self.since = time.monotonic()
        self.taken = self.since
        self.done = threading.Event()
        self.outcome: Outcome | None = None
        self.point: tracing.Point = None if tracing.tracer is None else tracing.tracer.point()
        self.batch: tracing.Point = None
        """The span of the batch."""


class GroupCommit:
    """The meeting point of all receptions of one process."""

    def __init__(
        self,
        commit: CommitBatch,
        *,
        on_their_way: Callable[[], int],
        maximum_size: int,
        maximum_wait_seconds: float,
        batches_in_flight: int,
    ) -> None:
        """
        Args:
            commit: does the work of one batch; outcomes in its order.
            on_their_way: how many other instances are being received now.
            maximum_size: instances in a batch.
            maximum_wait_seconds: how long the first of a batch waits for those on their way.
            batches_in_flight: committer threads; each needs a database connection.
        """
        self._commit = commit
        self._on_their_way = on_their_way
        self._maximum_size = maximum_size
        self._maximum_wait_seconds = maximum_wait_seconds
        self._waiting: deque[_Ticket] = deque()
        self._in_flight: set[str] = set()
        self._sizes_in_flight: list[int] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._committers = [
            threading.Thread(target=self._run, name=f"committer-{number}", daemon=True)
            for number in range(batches_in_flight)
        ]
        for committer in self._committers:
            committer.start()

    def store(self, staged: Staged) -> Stored:
        """Block until the instance is stored; raises the ClusterError that it met."""
        ticket = _Ticket(staged)
        with self._changed:
            if self._stopped:
                staged.attachment.discard()
                raise NodeBusy("this node is stopping")
            self._waiting.append(ticket)
            self._changed.notify()
        ticket.done.wait()
        telemetry.end_phase("wait", ticket.since, ticket.taken)
        if tracing.tracer is not None:
            tracing.tracer.past("store", ticket.taken, time.monotonic(), links=(ticket.batch,))
        if isinstance(ticket.outcome, Stored):
            return ticket.outcome
        assert ticket.outcome is not None
        raise ticket.outcome

    def stop(self) -> None:
        """Finish what was handed in, then end the threads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for committer in self._committers:
            committer.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                outcomes = self._committed(batch)
            except Exception as error:
                # A bug must not leave senders waiting for ever, and must not look like success.
                outcomes = [_as_cluster_error(error)] * len(batch)
            for ticket, outcome in zip(batch, outcomes, strict=True):
                ticket.outcome = outcome
                ticket.done.set()
            with self._changed:
                self._in_flight -= {ticket.staged.instance.public_ids.instance for ticket in batch}
                self._sizes_in_flight.remove(len(batch))
                self._changed.notify_all()
            failpoint("answered")

    def _committed(self, batch: list[_Ticket]) -> list[Outcome]:
        staged = [ticket.staged for ticket in batch]
        if tracing.tracer is None:
            return self._commit(staged)
        attributes = {"orthanc_cluster.instances": len(batch)}
        with tracing.tracer.together("batch", [ticket.point for ticket in batch], attributes) as span:
            for ticket in batch:
                ticket.batch = span.point
            return self._commit(staged)

    def _next_batch(self) -> list[_Ticket]:
        """The next batch; empty when stopped and nothing is left."""
        with self._changed:
            while True:
                patience = self._patience()
                if patience > 0:
                    self._changed.wait(None if patience == math.inf else patience)
                    continue
                if not self._waiting:
                    return []
                self._wait_for_company()
                if batch := self._take():
                    self._sizes_in_flight.append(len(batch))
                    return batch

    def _patience(self) -> float:
        """Seconds until a batch may leave, or all is done; infinite if that takes somebody else."""
        ready = [t for t in self._waiting if t.staged.instance.public_ids.instance not in self._in_flight]
        if not ready:
            # What is left may wait for its twin in another committer's batch.
            return 0.0 if self._stopped and not self._waiting else math.inf
        worthwhile = min(self._maximum_size, 2 * min(self._sizes_in_flight, default=0))
        if self._stopped or len(ready) >= worthwhile:
            return 0.0
        return ready[0].since + _PATIENCE_SECONDS - time.monotonic()

    def _wait_for_company(self) -> None:
        if self._stopped or not self._waiting:
            return
        deadline = self._waiting[0].since + self._maximum_wait_seconds
        while len(self._waiting) < self._maximum_size and self._on_their_way() > 0:
            left = deadline - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return

    def _take(self) -> list[_Ticket]:
        batch: list[_Ticket] = []
        later: deque[_Ticket] = deque()
        now = time.monotonic()
        while self._waiting and len(batch) < self._maximum_size:
            ticket = self._waiting.popleft()
            public_id = ticket.staged.instance.public_ids.instance
            if public_id in self._in_flight:
                later.append(ticket)
            else:
                self._in_flight.add(public_id)
                batch.append(ticket)
                ticket.taken = now
        self._waiting = later + self._waiting
        return batch


def _as_cluster_error(error: Exception) -> ClusterError:
    if isinstance(error, ClusterError):
        return error
    _LOG.exception("a batch failed for a reason nobody foresaw", exc_info=error)
    return NodeBusy(f"internal error: {type(error).__name__}")
