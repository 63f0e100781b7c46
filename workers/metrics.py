"""The text of /metrics, for a node of one process or of several."""

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess


def own_process() -> bytes:
    """Metrics of this process, in Prometheus' text format."""
    return generate_latest(REGISTRY)


def all_processes() -> bytes:
    """Metrics of all processes of this node, added up from the folder that they share."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
