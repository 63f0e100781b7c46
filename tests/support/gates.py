"""A node's way to its database, in a thread: the gate, then the watch, with the back-fills that it does."""

import threading
from dataclasses import dataclass, field

from cluster.config import Settings
from cluster.coordinator.gate import Gate
from tests.support.settings import settings_for

RETRY_SECONDS = 0.05
"""ConnectionRetryInterval, which is whole seconds for an operator; a test has no time for those."""


def impatient_settings(database_uri: str, name: str = "node") -> Settings:
    """Settings of a node that connects again at once."""
    settings = settings_for(database_uri, cluster={"NodeName": name})
    postgresql = settings.postgresql.model_copy(update={"connection_retry_interval_seconds": RETRY_SECONDS})
    return settings.model_copy(update={"postgresql": postgresql})


@dataclass
class NodeThread:
    """A node that starts. Context manager: stopped at the end."""

    database_uri: str
    name: str = "node"
    is_ready: bool | None = field(default=None, init=False)
    """What `Gate.wait_until_ready` returned; None before it did."""

    def __post_init__(self) -> None:
        self.gate = Gate(impatient_settings(self.database_uri, self.name), role="ingest")
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def __enter__(self) -> "NodeThread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.stop()
        self.join(20)
        self.gate.close()
        assert not self._thread.is_alive()

    def join(self, seconds: float) -> bool:
        """Wait for the end of a node that was stopped; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self.is_ready = self.gate.wait_until_ready()
        self.gate.keep_watch()
