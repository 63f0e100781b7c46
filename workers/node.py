"""An ingest node: DICOM and HTTP doors, housekeeping, and the order in which they open and close.

The doors listen before the database is ready, so that probes and senders get an answer ("not now") instead of a
refused connection; nothing is received before the gate opens. On SIGTERM the node turns not ready, finishes what it
has in hand, and leaves.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from cluster.config import Settings
from cluster.coordinator.gate import Gate
from cluster.coordinator.lone_gate import LoneGate
from cluster.ingest.intake import Intake, open_intake
from workers import metrics, restart
from workers.housekeeping import keeping_house
from workers.http.health import Health, probe_server
from workers.http.server import HttpServer
from workers.lone_worker import LoneWorker
from workers.siblings import Siblings
from workers.storage_watch import StorageWatch
from workers.storescp.listener import StoreScp
from workers.termination import on_termination
from workers.traces import traces
from workers.upper_layer.pdu import DEFAULT_MAXIMUM_LENGTH

_LOG = logging.getLogger(__name__)


def serve(
    settings: Settings,
    read_metrics: Callable[[], bytes] = metrics.own_process,
    siblings: Siblings | None = None,
    number: int = 0,
    reset: Callable[[], None] = restart.ask_this_process,
) -> bool:
    """Serve until SIGTERM or SIGINT, as process `number` of `siblings` if the node has several.

    Args:
        reset: asks for the node to begin anew (``POST /tools/reset``).

    Returns whether it ended to begin anew.

    Raises:
        ConfigurationError: a port or folder cannot be had.
        SchemaMismatch, DatabaseRefused: the database will not do, and waiting would not change that.
    """
    siblings = siblings or Siblings(1)
    intake = open_intake(settings)

    def on_change(is_ready: bool) -> None:
        siblings.tell(number, is_ready)

    gate: Gate | LoneGate
    worker: LoneWorker | None = None
    if settings.postgresql.enable_index:
        gate = Gate(settings, role="ingest", on_change=on_change, also=lambda: intake.storage.health.reason)
    else:
        gate = LoneGate(settings, on_change=on_change)
        worker = LoneWorker(settings, intake)
    stopped = threading.Event()
    begins_anew = False

    def stop_for_restart() -> None:
        nonlocal begins_anew
        begins_anew = True
        stop()

    def stop() -> None:
        stopped.set()
        gate.stop()

    health = Health(lambda: _reason(intake, gate) or siblings.reason(), lambda: gate.has_been_ready, read_metrics)
    on_termination(stop)
    on_termination(stop_for_restart, [restart.SIGNAL])
    with (
        traces(settings, "ingest"),
        contextlib.closing(gate),
        contextlib.closing(intake),
        StorageWatch(intake.storage),
        _probes(settings, health),
        _doors(settings, intake, gate, health, reset, worker),
    ):
        if gate.wait_until_ready():
            with _housekeeping(settings, intake, number), worker or contextlib.nullcontext():
                _LOG.info("orthanc-cluster node %s has started", settings.cluster.node_name)
                watch = threading.Thread(target=gate.keep_watch, name="gate", daemon=True)
                watch.start()
                stopped.wait()
        _LOG.info("draining for at most %d s", settings.cluster.drain_seconds)
    _LOG.info("orthanc-cluster node %s has stopped", settings.cluster.node_name)
    return begins_anew


@contextlib.contextmanager
def _doors(
    settings: Settings,
    intake: Intake,
    gate: Gate | LoneGate,
    health: Health,
    reset: Callable[[], None],
    worker: LoneWorker | None,
) -> Iterator[None]:
    scp = StoreScp(
        settings, intake, ready=lambda: _reason(intake, gate) is None, maximum_pdu_length=_maximum_pdu_length(settings)
    )
    http = HttpServer(
        settings,
        intake,
        intake.database,
        intake.storage,
        readiness=health.readiness,
        started=health.started,
        metrics=health.metrics,
        reset=reset,
        waker=worker,
    )
    doors = [
        door
        for door, enabled in ((scp, settings.dicom.server_enabled), (http, settings.http.server_enabled))
        if enabled
    ]
    opened: list[StoreScp | HttpServer] = []
    try:
        for door in doors:
            door.start()
            opened.append(door)
        yield
    finally:
        gate.stop()
        # Side by side: one door's slow sender must not take the other's time.
        closers = [threading.Thread(target=_close, args=(door, settings.cluster.drain_seconds)) for door in opened]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()


@contextlib.contextmanager
def _probes(settings: Settings, health: Health) -> Iterator[None]:
    """Cluster.ProbePort, if there is one, for as long as anything can be asked about the doors."""
    if not settings.cluster.probe_port:
        yield
        return
    server = probe_server(settings, health, shared=True)
    server.start()
    try:
        yield
    finally:
        server.stop()


def _reason(intake: Intake, gate: Gate | LoneGate) -> str | None:
    """Why this process is not ready: of the storage area the gate learns later."""
    return gate.reason or intake.storage.health.reason


def _maximum_pdu_length(settings: Settings) -> int:
    # Orthanc's default of 16384 is for its own receiver; ours is faster with few large PDUs.
    configured = "maximum_pdu_length" in settings.dicom.model_fields_set
    return settings.dicom.maximum_pdu_length if configured else DEFAULT_MAXIMUM_LENGTH


def _close(door: StoreScp | HttpServer, seconds: float) -> None:
    door.drain(seconds)
    door.stop()


def _housekeeping(settings: Settings, intake: Intake, number: int) -> contextlib.AbstractContextManager[None]:
    # One candidate a node: its processes live and die together.
    if settings.cluster.housekeeping and number == 0:
        return keeping_house(settings, intake.database, intake.storage)
    return contextlib.nullcontext()
