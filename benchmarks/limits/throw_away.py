"""``python -m benchmarks.limits.throw_away PORT PROCESSES``: our receiver, whose intake throws the bytes away."""

import os
import signal
import sys
from contextlib import suppress

from cluster.config import load_settings
from cluster.ingest.origin import Origin
from workers.storescp import StoreScp


class Nowhere:
    """An intake and its reception: takes everything, keeps nothing, is always done."""

    def receive(
        self, origin: Origin, *, sop_class_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> "Nowhere":
        return self

    def __enter__(self) -> "Nowhere":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, data: bytes | memoryview, /) -> None:
        pass

    def commit(self) -> None:
        pass


def main() -> None:
    """Receive until SIGTERM, in several processes on one port, as a node does (workers/prefork.py)."""
    port, processes = map(int, sys.argv[1:])
    settings = load_settings([], environ={}, overrides={"DicomPort": port})
    children = _forked(processes - 1)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    StoreScp(settings, Nowhere(), ready=lambda: True).start()
    try:
        while True:
            signal.pause()
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)


def _forked(count: int) -> list[int]:
    """Copies of this process, which has no threads yet; their ids here, nothing in the copies."""
    children = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            return []
        children.append(pid)
    return children


if __name__ == "__main__":
    main()
