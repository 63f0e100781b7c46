"""A node that begins anew, with its configuration read again, as after ``POST /tools/reset``.

It drains as on SIGTERM, then the process executes its own command line: same process id, so whoever started it notices
nothing but a node that is not ready for a while.
"""

import os
import signal
import sys
from typing import NoReturn

from cluster.config import forget_shared_metrics

SIGNAL = signal.SIGUSR1
"""Asks a process for it. Not SIGHUP, which terminals send when they close."""


def ask_this_process() -> None:
    """For a node of one process."""
    os.kill(os.getpid(), SIGNAL)


def ask_parent() -> None:
    """For one process of a node that has several."""
    os.kill(os.getppid(), SIGNAL)


def begin_anew() -> NoReturn:
    """Become what this command line starts; to be called by the main thread when everything is closed."""
    forget_shared_metrics()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
