"""A node of several processes that share its ports (SO_REUSEPORT), for machines where one interpreter is too few.

The children are forked before any thread or connection exists. Each holds the reading end of a pipe of which only
the parent holds the other: when the parent dies, however it dies, they leave too. A child that ends takes the node
with it, which whoever started the node then replaces as a whole.
"""

import contextlib
import functools
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from types import FrameType

from cluster.config import Settings, share_metrics_between_processes
from cluster.errors import ClusterError
from workers import restart
from workers.siblings import Siblings

_LOG = logging.getLogger(__name__)


def serve_in_processes(settings: Settings) -> int:
    """Serve with `settings.cluster.ingest_processes` children until SIGTERM or SIGINT; the worst exit status.

    Does not return when the node is to begin anew (``POST /tools/reset``).
    """
    begins_anew = False
    with tempfile.TemporaryDirectory(prefix="orthanc-cluster-metrics-") as folder:
        share_metrics_between_processes(folder)
        from workers import metrics, node  # only now: this imports prometheus_client

        siblings = Siblings(settings.cluster.ingest_processes)
        reading, writing = os.pipe()
        children = []
        for number in range(settings.cluster.ingest_processes):
            pid = os.fork()
            if pid == 0:
                os.close(writing)
                _leave_with_parent(reading)
                serve = functools.partial(
                    node.serve, settings, metrics.all_processes, siblings, number, restart.ask_parent
                )
                os._exit(_child(serve))
            children.append(pid)
        os.close(reading)

        def pass_on(number: int, frame: FrameType | None) -> None:
            _terminate(children)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, pass_on)

        def pass_on_for_restart(number: int, frame: FrameType | None) -> None:
            nonlocal begins_anew
            begins_anew = True
            _terminate(children)

        signal.signal(restart.SIGNAL, pass_on_for_restart)
        worst = _await_all(children)
    if begins_anew and worst == 0:
        restart.begin_anew()
    return worst


def _await_all(children: list[int]) -> int:
    worst = 0
    while children:
        pid, status = os.wait()
        children.remove(pid)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            _LOG.error("ingest process %d ended with %d; the others are stopped", pid, code)
            worst = worst or (code if code > 0 else 1)
            _terminate(children)
    return worst


def _terminate(children: list[int]) -> None:
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _child(serve: Callable[[], bool]) -> int:
    try:
        serve()
    except ClusterError as error:
        _LOG.critical("%s", error)
        return 1
    except Exception:
        _LOG.critical("this process ends", exc_info=True)
        return 1
    finally:
        logging.shutdown()
    return 0


def _leave_with_parent(reading: int) -> None:
    def wait() -> None:
        os.read(reading, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
