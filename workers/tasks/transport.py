"""kombu's Redis transport, without the way in which it falls when the broker goes away.

When a connection is lost while messages are unacknowledged, kombu 5.7 puts them back and acknowledges them later
through a channel that is closed by then; the AttributeError that follows ends the Celery worker ("Unrecoverable
error"). Neither is needed here: a message that nobody acknowledged comes back after its visibility timeout, and what
it was about is in PostgreSQL anyway.
"""

from typing import Any

from kombu import transport
from kombu.transport import redis


class Channel(redis.Channel):
    """Lets a message go when the connection it came on is gone."""

    do_restore = False

    def basic_ack(self, delivery_tag: Any, multiple: bool = False) -> None:
        """Acknowledge, if there is still somebody to tell."""
        if not self.closed:
            super().basic_ack(delivery_tag, multiple)  # type: ignore[no-untyped-call]

    def basic_reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """Reject, if there is still somebody to tell."""
        if not self.closed:
            super().basic_reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]


class Transport(redis.Transport):
    """What ``redis://``, ``rediss://`` and ``redis+socket://`` stand for in this program."""

    Channel = Channel


def use_for_redis() -> None:
    """Make kombu take this transport; by alias, because a ``redis+socket`` URL overrides Celery's setting."""
    for scheme in ("redis", "rediss"):
        transport.TRANSPORT_ALIASES[scheme] = f"{Transport.__module__}:{Transport.__qualname__}"
        # kombu remembers what an alias stood for when it was first used in this process.
        transport._transport_cache.pop(scheme, None)
