"""One process of senders: a thread for each, whose reports leave together."""

import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue

from workers.load.ledger import Delivery
from workers.load.sender import Assignment, GaveUp, Sender

_REPORT_SECONDS = 0.1
News = SimpleQueue[Delivery | BaseException | None]
"""What senders tell: an instance, what they failed with, or None at their end."""


def main(assignments: Sequence[Assignment], parent: Connection) -> None:
    """Body of a process. Waits for a word from `parent`, then sends it lists of deliveries, then None.

    A second word ends each sender after the instance that it is at. A parent that is gone ends the process at its
    next report.
    """
    # Ctrl-C reaches the whole process group; what happens then is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    news: News = SimpleQueue()
    stopping = threading.Event()
    try:
        parent.send([])
        parent.recv()
        for assignment in assignments:
            threading.Thread(target=_send, args=(assignment, news, stopping), daemon=True).start()
        working = len(assignments)
        while working:
            report, ended = _news(news)
            working -= ended
            if report:
                parent.send(report)
            if not stopping.is_set() and parent.poll():
                parent.recv()
                stopping.set()
        parent.send(None)
    except (BrokenPipeError, ConnectionResetError, EOFError):
        return


def _send(assignment: Assignment, news: News, stopping: threading.Event) -> None:
    try:
        Sender(assignment).run(news.put, stopping)
    except GaveUp:
        news.put(None)
    except BaseException as error:  # which the process ends with
        news.put(error)
    else:
        news.put(None)


def _news(news: News) -> tuple[list[Delivery], int]:
    """What came within a moment, and how many senders have ended; raises what one of them failed with."""
    report: list[Delivery] = []
    ended = 0
    until = time.monotonic() + _REPORT_SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            what = news.get(timeout=left)
        except Empty:
            break
        if isinstance(what, Delivery):
            report.append(what)
        elif what is None:
            ended += 1
            break
        else:
            raise what
    return report, ended
