"""What all clients of a run have in common: a thread with random numbers of its own that ends when it is told to."""

import threading
from random import Random

from workers.prove.history import History


class Client:
    """Works until `stopping`; then it may still bring what it has begun to an end, until `gone`."""

    def __init__(
        self, name: str, seed: str, history: History, stopping: threading.Event, gone: threading.Event
    ) -> None:
        self.name = name
        self.history = history
        self.random = Random(f"{seed}/{name}")  # noqa: S311 (a schedule that can be repeated)
        self.failure: BaseException | None = None
        self._stopping = stopping
        self._gone = gone
        # Not a base class: its methods and ours would share one set of names.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work, in a thread of its own."""
        self._thread.start()

    def ended(self, timeout_seconds: float) -> bool:
        """Wait for the end; whether it came in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            # A client that dies would prove nothing more and nobody would notice.
            self.failure = error
            raise

    def work(self) -> None:
        """What the client does."""
        raise NotImplementedError

    @property
    def stopping(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._stopping.is_set()

    @property
    def gone(self) -> bool:
        """Whether nothing is to be brought to an end any more."""
        return self._gone.is_set()

    def pause(self, failures: int) -> None:
        """Wait a little before an attempt that follows so many failures."""
        self._gone.wait(self.random.uniform(0.5, 1.0) * min(1.0, 0.02 * 2 ** min(failures, 10)))
