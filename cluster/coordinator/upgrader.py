"""The upgrade of an older revision, by the one node that holds the set-up lock."""

import logging
import threading
from collections.abc import Callable

import psycopg
from psycopg.rows import TupleRow

from cluster import tracing
from cluster.config import Settings
from cluster.coordinator.membership import Membership
from cluster.coordinator.pulse import Pulse
from cluster.schema.online import prepare_and_switch
from cluster.schema.progress import Progress
from cluster.schema.revision import REVISION

_LOG = logging.getLogger(__name__)


def upgrade(
    settings: Settings,
    session: psycopg.Connection[TupleRow],
    source: int,
    membership: Membership,
    stopped: threading.Event,
    tell: Callable[[str], None],
) -> None:
    """Bring the index from revision `source` to ours; what can be done after the switch is left to do.

    Args:
        session: holds the set-up lock.
        tell: is told how far it is, for /readyz.

    Raises:
        NodesInTheWay, SchemaMismatch, LockNotAvailable: as `prepare_and_switch`.
        NodeBusy: this process is to stop.
        psycopg.Error: among others DiskFull, after which the steps so far are done.
    """
    detail = ""

    def look(connection: psycopg.Connection[TupleRow], progress: Progress | None) -> None:
        if progress is not None:
            text = progress.describe() + detail
            tell(text)
            membership.heartbeat(connection, text)

    def step_begins(name: str) -> None:
        nonlocal detail
        detail = ""
        _LOG.info("schema upgrade: %s", name)

    def waiting(who: str) -> None:
        nonlocal detail
        detail = f"; waits for a lock, in the way: {who}"
        _LOG.info("schema upgrade: waits for a lock, in the way: %s", who)

    with tracing.span("schema upgrade"), Pulse(settings.postgresql, session, stopped, look) as pulse:
        options = pulse.options(settings, step_begins, waiting)
        prepare_and_switch(
            session, settings.postgresql.schema_name, settings.cluster.node_name, source, REVISION, options
        )
