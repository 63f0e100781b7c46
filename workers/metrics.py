"""The text of /metrics, for a node of one process or of several."""

from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess

from cluster.config import shared_metrics_folder


def own_process() -> bytes:
    """Metrics of this process, in Prometheus' text format."""
    return generate_latest(REGISTRY)


def all_processes() -> bytes:
    """Metrics of all processes of this node, added up from the folder that they share.

    Counts of a process that has ended stay, its gauges do not.
    """
    folder = shared_metrics_folder()
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*.db")}:
        if not Path(f"/proc/{pid}").exists():
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
