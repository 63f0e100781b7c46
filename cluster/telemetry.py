"""Names of metrics, declared once; those of log fields are in `cluster/log_fields.py`.

Names follow Prometheus' conventions: base units (seconds, bytes), `_total` for counters. Labels have few values:
never an address or an id, which a sender could choose; AE titles only up to a number (`peer_label`).
"""

import functools
import time

from prometheus_client import Counter, Gauge, Histogram

from cluster import tracing

_PREFIX = "orthanc_cluster_"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# The way of an instance. Phases: receive, parse, wait (for a batch), bytes (durable), rows (written by the index),
# commit (made durable there, with the way there and back), answer.
received_bytes = Counter(_PREFIX + "received_bytes", "Bytes of instances received", ["door"])
instances = Counter(_PREFIX + "instances", "Instances answered, by outcome", ["door", "outcome"])
phase_seconds = Histogram(
    _PREFIX + "phase_seconds", "Time of one instance or batch in a phase", ["phase"], buckets=_SECONDS
)
batch_instances = Histogram(
    _PREFIX + "batch_instances", "Instances per database transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
peer_instances = Counter(
    _PREFIX + "peer_instances",
    "Instances of a calling AE title, by outcome; `other` for all beyond the first 100 of a process",
    ["peer", "outcome"],
)
buffered_bytes = Gauge(_PREFIX + "buffered_bytes", "Bytes of instances held in memory", multiprocess_mode="livesum")
files_left = Counter(
    _PREFIX + "files_left", "Files kept although their instance was not acknowledged, as the commit is unknown"
)

# Associations
associations = Gauge(_PREFIX + "associations", "Associations that are open", multiprocess_mode="livesum")
association_rejections = Counter(_PREFIX + "association_rejections", "Associations not accepted", ["reason"])
dimse_responses = Counter(_PREFIX + "dimse_responses", "DIMSE responses sent", ["service", "status"])

# PostgreSQL
transaction_seconds = Histogram(
    _PREFIX + "transaction_seconds", "Time of a unit of work, replays included", ["transaction"], buckets=_SECONDS
)
transaction_retries = Counter(
    _PREFIX + "transaction_retries", "Units of work run again, by what PostgreSQL answered", ["transaction", "sqlstate"]
)
transaction_failures = Counter(_PREFIX + "transaction_failures", "Units of work given up", ["transaction", "sqlstate"])
lock_waits = Gauge(
    _PREFIX + "lock_waits",
    "Sessions of the database that wait for another one's lock, as the process sees them that keeps house",
    multiprocess_mode="livemax",
)
connection_attempts = Counter(
    _PREFIX + "connection_attempts", "Connections that the pool has opened, or could not open", ["result"]
)
connections_lost = Counter(_PREFIX + "connections_lost", "Connections of the pool that broke, or did not answer")
outage_seconds = Counter(
    _PREFIX + "outage_seconds", "Time in which this process could reach no database, or none that takes writes"
)
pool_connections = Gauge(
    _PREFIX + "pool_connections", "Connections of the pool", ["state"], multiprocess_mode="livesum"
)

# The node
ready = Gauge(_PREFIX + "ready", "1 while this process can receive", multiprocess_mode="livemin")
upgrade_progress = Gauge(
    _PREFIX + "upgrade_progress_ratio", "How much of a schema upgrade is done, 0 to 1", multiprocess_mode="livemax"
)
upgrade_phase = Gauge(
    _PREFIX + "upgrade_phase", "1 for the phase in which a schema upgrade is", ["phase"], multiprocess_mode="livemax"
)

# Celery
import_files = Counter(_PREFIX + "import_files", "Files of bulk imports, by outcome", ["outcome"])
import_chunks = Gauge(
    _PREFIX + "import_chunks",
    "Chunks of bulk imports that are not done: waiting (no message yet), sent, or active; the same in every worker",
    ["state"],
    multiprocess_mode="livemax",
)
jobs = Gauge(
    _PREFIX + "jobs",
    "Jobs and bulk imports that /jobs lists, by state; the same in every worker",
    ["state"],
    multiprocess_mode="livemax",
)
tasks = Counter(_PREFIX + "tasks", "Celery tasks, by outcome", ["task", "outcome"])
task_seconds = Histogram(
    _PREFIX + "task_seconds",
    "Time of a Celery task",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)

# Traces
spans = Counter(_PREFIX + "spans", "Spans that the collector took (exported), or did not (lost)", ["outcome"])

# Housekeeping
housekeeping_leader = Gauge(
    _PREFIX + "housekeeping_leader", "1 for the process that keeps house, 0 on standby", multiprocess_mode="livemax"
)
housekeeping_pass = Gauge(
    _PREFIX + "housekeeping_pass_timestamp_seconds",
    "When this process last did everything there was to do",
    multiprocess_mode="livemax",
)
housekeeping_done = Gauge(
    _PREFIX + "housekeeping_done_timestamp_seconds",
    "When this process last did a housekeeping task with success",
    ["task"],
    multiprocess_mode="livemax",
)
housekeeping_seconds = Histogram(
    _PREFIX + "housekeeping_seconds", "Time of one housekeeping task", ["task"], buckets=_SECONDS
)


_phase = functools.cache(phase_seconds.labels)


def end_phase(phase: str, started: float, ended: float | None = None) -> float:
    """Count a phase of an instance or batch, which is a part of its span too where traces are on.

    Args:
        started: on the clock of `time.monotonic`.
        ended: likewise; now unless it was before.

    Returns when it ended.
    """
    if ended is None:
        ended = time.monotonic()
    _phase(phase).observe(ended - started)
    if tracing.tracer is not None:
        tracing.tracer.past(phase, started, ended)
    return ended


def end_transaction(name: str, started: float, retries: int, failure: str | None) -> None:
    """Count the time of a unit of work, which is a span too where traces are on.

    Args:
        started: on the clock of `time.monotonic`.
        retries: how often it was run again.
        failure: the SQLSTATE for which it was given up.
    """
    ended = time.monotonic()
    transaction_seconds.labels(name).observe(ended - started)
    if tracing.tracer is not None:
        attributes: dict[str, tracing.Value] = {"orthanc_cluster.retries": retries}
        if failure is not None:
            attributes["db.response.status_code"] = failure
        tracing.tracer.past(f"transaction {name}", started, ended, attributes)


_PEERS = 100
_peers: set[str] = set()


def peer_label(ae_title: str) -> str:
    """The label of a peer: its AE title for the first hundred of this process, `other` for all that come later."""
    if ae_title not in _peers:
        if len(_peers) >= _PEERS:
            return "other"
        _peers.add(ae_title)
    return ae_title
