"""An upgrade that an operator asks for, without being a node: the same steps, locks and ledger as a node's."""

import threading
from collections.abc import Callable

import tenacity

from cluster import tracing
from cluster.config import Settings
from cluster.coordinator.pulse import Pulse
from cluster.errors import ClusterError, ReadOnlyServer, StorageFull, Transient
from cluster.schema.ledger import done_by
from cluster.schema.progress import Progress
from cluster.schema.session import direct_connection
from cluster.schema.upgrade import upgrade_online

_POLL_SECONDS = 1.0


def upgrade_by_hand(
    settings: Settings,
    target: int,
    *,
    on_step: Callable[[str], None],
    on_progress: Callable[[Progress | None], None],
    on_wait: Callable[[str], None],
) -> list[str]:
    """Bring the index to revision `target` beside running nodes; returns the steps that this process did, in order.

    Waits for another upgrader, for nodes in the way, and for a database that comes back, and goes on with what they
    left to do.

    Args:
        on_step: is told each step as it begins.
        on_progress: is told about once a second how far it is, in a thread.
        on_wait: is told why it has to wait.

    Raises:
        ConfigurationError, SchemaMismatch, DatabaseRefused, ReadOnlyServer: waiting would not help.
        DatabaseUnavailable: there is no database from the beginning.
        StorageFull: the server's disk has no room; what was done is kept.
    """
    with direct_connection(settings.postgresql):
        pass  # what fails from the beginning is no outage to be waited for
    begun: list[str] = []
    never = threading.Event()

    def step_begins(name: str) -> None:
        begun.append(name)
        on_step(name)

    def attempt() -> list[str]:
        with (
            tracing.span("schema upgrade"),
            direct_connection(settings.postgresql) as session,
            Pulse(settings.postgresql, session, never, lambda _, progress: on_progress(progress)) as pulse,
        ):
            options = pulse.options(settings, step_begins, lambda who: on_wait(f"waits for a lock, in the way: {who}"))
            node = settings.cluster.node_name
            upgrade_online(session, settings.postgresql.schema_name, node, target, options)
            # The answer to a COMMIT may have been lost, and another one may have finished what was begun here.
            return done_by(session, node, begun)

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        on_wait(str(error) if isinstance(error, ClusterError) else "waits for the database")

    retry = tenacity.Retrying(
        # A standby does not become writable by waiting; after a fail-over the command is given again and resumes.
        retry=tenacity.retry_if_exception_type(Transient) & tenacity.retry_if_not_exception_type(ReadOnlyServer),
        wait=tenacity.wait_fixed(_POLL_SECONDS),
        before_sleep=tell,
        reraise=True,
    )
    try:
        return retry(attempt)
    except StorageFull as error:
        raise StorageFull(f"{error}. Make room and give the command again: it goes on where it ended") from error
