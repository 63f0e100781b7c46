"""A program of ours on a machine whose time of day jumps: what it is told by Python is wrong by what a file says.

    python -m workers.prove.wrong_clock FILE MODULE [ARGUMENT…]

Durations are right, as they are when a real clock jumps (CLOCK_MONOTONIC). What asks the system itself goes on with the
right time: libraries in C, `datetime.now`. libfaketime would reach them, but with version 0.9.10 Python 3.11's
`time.sleep` fails with EINVAL, and SIGTERM wakes nobody up.
"""

import runpy
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

_LOOK_SECONDS = 0.2


class Clock:
    """By how much the time of day of one process, and of those below it, is wrong; whole seconds."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._looked = 0.0
        self._seconds = 0

    def set(self, seconds: int) -> None:
        """Let it be wrong by that much from now on."""
        draft = self.file.with_suffix(".new")
        draft.write_text(str(seconds), "ascii")
        draft.replace(self.file)

    def wrong_by(self) -> int:
        """As last read from the file, which is not looked at each time."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._seconds = int(self.file.read_text("ascii"))
        return self._seconds


def falsify(clock: Clock) -> None:
    """From now on; whoever has taken the functions out of their module before goes on with the right time."""
    right_time, right_nanoseconds = time.time, time.time_ns

    def wrong_time() -> float:
        return right_time() + clock.wrong_by()

    def of_now(right: Callable[..., time.struct_time], seconds: float | None = None) -> time.struct_time:
        return right(wrong_time() if seconds is None else seconds)

    time.time = wrong_time
    time.time_ns = lambda: right_nanoseconds() + clock.wrong_by() * 10**9
    # As attributes of a class (logging.Formatter.converter) functions would become methods, and built-in ones do not.
    time.gmtime, time.localtime = partial(of_now, time.gmtime), partial(of_now, time.localtime)


if __name__ == "__main__":
    falsify(Clock(Path(sys.argv[1])))
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
