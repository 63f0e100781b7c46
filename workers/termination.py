"""SIGTERM and SIGINT, for processes that have to end in order: also as process 1, to which the kernel delivers only
signals that have a handler.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType


def on_termination(
    stop: Callable[[], None], numbers: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
) -> None:
    """Call `stop` at each of these signals from now on; main thread only.

    In a thread of its own: a handler runs in the middle of whatever the main thread is at, locks that `stop` needs in
    its hands.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=stop, name="termination", daemon=True).start()

    for number in numbers:
        signal.signal(number, handle)


def terminate_like_ctrl_c() -> None:
    """SIGTERM from now on is a KeyboardInterrupt as SIGINT is: psycopg cancels the statement under way."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
