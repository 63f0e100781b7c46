"""Fuzzing with coverage (atheris, libFuzzer): `python -m tests.fuzz pdus|header [seconds] [folder of the corpus]`.

Ends with 0 if nothing was found; an input that breaks a target is left in the working folder as `crash-…`. Keep it as
`tests/fuzz/regressions/TARGET/…`, where `test_fuzz.py` finds it. Both at once, beside other work: `beside.py`.
"""

import functools
import logging
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cluster", "workers"]):
    from tests.fuzz import targets
    from tests.support.settings import settings_for
    from workers.storescp.policy import Policy

MAXIMUM_BYTES = 20_000

CPU_SECONDS = 10.0
"""For one input. Not by the clock, as libFuzzer counts: a process of low priority may be kept waiting, or stopped."""

CLOCK_SECONDS = 1200
"""For one input that hangs where Python cannot be interrupted."""


def main(name: str, seconds: str = "60", folder: str = "") -> None:
    """Fuzz one target; does not return."""
    warnings.simplefilter("ignore")
    logging.disable()
    corpus = Path(folder or f"corpus-{name}")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    target = {"header": targets.header, "defect": targets.defect}.get(name)
    if target is None:
        target = functools.partial(targets.pdus, Policy.from_settings(settings_for(), 131072))
    options = [f"-max_total_time={seconds}", f"-max_len={MAXIMUM_BYTES}", f"-timeout={CLOCK_SECONDS}"]
    atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=2048", str(corpus)], _in_time(target))
    atheris.Fuzz()


def _in_time(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def give_up(*_: object) -> None:
        raise AssertionError(f"more than {CPU_SECONDS:g} s of CPU for one input")

    signal.signal(signal.SIGVTALRM, give_up)

    def limited(content: bytes) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
        try:
            target(content)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    return limited


if __name__ == "__main__":
    main(*sys.argv[1:])
