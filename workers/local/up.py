"""`orthanc-cluster up`: a local cluster in the foreground."""

import signal
import threading
import time
from types import FrameType

from rich.console import Console
from rich.table import Table

from workers.local.cluster import LocalCluster, Options


def run_up(options: Options) -> None:
    """Start, tell the addresses, wait for Ctrl-C or SIGTERM, stop.

    Raises:
        ConfigurationError: ports, folder or settings will not do.
        DatabaseUnavailable, BrokerUnavailable: a server of our own did not start.
    """
    console = Console()
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if not ended.is_set():
            ended.set()
            if number == signal.SIGINT:
                raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    started = time.monotonic()

    def report(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {text}")

    try:
        with LocalCluster(options, report) as cluster:
            console.print(addresses(cluster))
            console.print("[bold green]ready[/bold green]; Ctrl-C stops everything")
            while not ended.wait(3600):
                pass
    except KeyboardInterrupt:
        pass


def addresses(cluster: LocalCluster) -> Table:
    """What a person needs to use the cluster."""
    table = Table(title="orthanc-cluster", show_header=False)
    endpoints = cluster.endpoints
    table.add_row("DICOM", "\n".join(f"{cluster.settings.dicom.aet}@{address}" for address in endpoints.dicom))
    table.add_row("HTTP", "\n".join(endpoints.http))
    table.add_row("PostgreSQL", "own" if "postgresql://orthanc:" in endpoints.postgresql else "configured")
    table.add_row("storage area", endpoints.storage)
    table.add_row("addresses", str(cluster.configuration.with_name("endpoints.json")))
    return table
