"""Fuzzing with coverage (atheris, libFuzzer): `python -m tests.fuzz pdus|header [seconds] [folder of the corpus]`.

Ends with 0 if nothing was found; an input that breaks a target is left in the working folder as `crash-…`. Keep it as
`tests/fuzz/regressions/TARGET/…`, where `test_fuzz.py` finds it.
"""

import functools
import logging
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cluster", "workers"]):
    from tests.fuzz import targets
    from tests.support.settings import settings_for
    from workers.storescp.policy import Policy

MAXIMUM_BYTES = 20_000


def main(name: str, seconds: str = "60", folder: str = "") -> None:
    """Fuzz one target; does not return."""
    warnings.simplefilter("ignore")
    logging.disable()
    corpus = Path(folder or f"corpus-{name}")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    target = targets.header
    if name == "pdus":
        target = functools.partial(targets.pdus, Policy.from_settings(settings_for(), 131072))
    options = [f"-max_total_time={seconds}", f"-max_len={MAXIMUM_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
