"""Runs several command lines of orthanc-cluster at once, each in a process that was forked after the imports.

Importing is most of what a short-lived node costs. Reads a JSON array from standard input: `argv`, `environment`
(beside that of this process), `is_all_logged`, `has_defect`, `log` and `status`, which are files. Writes the process
ids, in that order, and each exit status into its file as soon as it is known. A process ends at the latest when this
one does. Started by `forked.py`.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import workers.cli
import workers.logs
import workers.node
from cluster.config import Settings

_PR_SET_PDEATHSIG = 1


def _run(case: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(case["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.environ.update(case["environment"])
    sys.argv = ["orthanc-cluster", *case["argv"]]
    if case["is_all_logged"]:
        _log_everything()
    if case["has_defect"]:
        workers.logs.log_configuration = _defect
    workers.cli.main()


def _defect(settings: Settings) -> None:
    raise RuntimeError(f"a defect with {settings!r}")


def _log_everything() -> None:
    set_up = workers.logs.set_up_logging

    def set_up_and_lower(*arguments: Any, **options: Any) -> None:
        set_up(*arguments, **options)
        for name in (None, *logging.root.manager.loggerDict):
            logging.getLogger(name).setLevel(logging.DEBUG)

    workers.logs.set_up_logging = set_up_and_lower


def _main() -> None:
    cases = json.load(sys.stdin)
    running = {}
    for case in cases:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                _run(case)
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        running[pid] = case
    print(json.dumps(list(running)), flush=True)
    while running:
        pid, status = os.wait()
        Path(running.pop(pid)["status"]).write_text(str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    _main()
