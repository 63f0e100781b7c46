"""What a fault says of itself when it is over."""

import threading
from collections.abc import Callable
from random import Random

from workers.prove.stage import Stage

Fault = Callable[[Stage, Random, threading.Event], str]
"""Does it and undoes it; returns what was hit, in words. The event cuts waits short at the end of a run.

Raises:
    NoEffectError: nothing has happened, so it does not count.
"""


class NoEffectError(Exception):
    """Nothing happened, and why."""


def require(happened: bool, what: str) -> None:
    """Raises NoEffectError unless it has happened."""
    if not happened:
        raise NoEffectError(what)
