"""One run: a cluster, clients, faults for a while, then rest, and the verdict."""

import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cluster.database import Database
from cluster.index.check import unsettled
from workers.local.children import wait_until
from workers.prove.cast import Cast
from workers.prove.checker import FinalRead, Verdict, judge
from workers.prove.client import Client
from workers.prove.doors import HttpClient
from workers.prove.equipment import equipment_for
from workers.prove.hasty_worker import RUN
from workers.prove.history import History
from workers.prove.options import ProveOptions
from workers.prove.reviser import METADATA
from workers.prove.rules import Violation
from workers.prove.stage import Stage

HISTORY = "history.sqlite"
_FINISH_SECONDS = 90.0
_SETTLE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    phase: str
    seconds: float
    acknowledged: int
    faults: int


Report = Callable[[Progress], None]
Beside = Callable[[Stage], AbstractContextManager[object]]


def run_prove(options: ProveOptions, report: Report, beside: Beside | None = None) -> Verdict:
    """Run and judge; `folder` keeps the history, the logs, database and storage area.

    `beside` is somebody else who works on the same archive from before the first client until after the last.

    Raises:
        ClusterError: the cluster does not start, or cannot be asked at the end.
    """
    options.folder.mkdir(parents=True, exist_ok=True)
    equipment = equipment_for(frozenset(options.faults), options.seconds, options.importers)
    starting: Callable[[str], None] = lambda text: report(Progress(text, 0, 0, 0))  # noqa: E731
    with (
        Stage(options.folder, options.nodes, starting, options.program, equipment) as stage,
        History(options.folder / HISTORY) as history,
    ):
        stage.refusals = history.refusals
        run = _Run(options, stage, history, report)
        with (beside or nullcontext)(stage):
            run.work()
        return run.verdict()


class _Run:
    def __init__(self, options: ProveOptions, stage: Stage, history: History, report: Report) -> None:
        self._options = options
        self._stage = stage
        self._history = history
        self._report = report
        self._cast = Cast(options, stage, history)
        self._lost: list[Violation] = []

    def work(self) -> None:
        """Clients and faults, until the time is over and everybody has finished."""
        for each in self._cast.everybody:
            each.start()
        end = time.monotonic() + self._options.seconds
        while time.monotonic() < end and not self._dead():
            self._show("faults" if self._cast.injectors else "no faults")
            time.sleep(0.2)
        self._cast.calm.set()
        self._join(self._cast.injectors)
        if not self._stage.heal():
            self._lost.append(Violation("answers are explicable", "", "nodes were not ready again after all faults"))
        self._cast.stopping.set()
        self._show("finishing")
        self._join(self._cast.clients)
        self._cast.gone.set()
        self._join(self._cast.followers)

    def verdict(self) -> Verdict:
        """Wait until housekeeping has done its part, then judge."""
        self._show("settling")
        with contextlib.closing(Database(self._stage.settings.postgresql, time_budget_seconds=60)) as database:
            database.open()
            settled = wait_until(lambda: unsettled(database) == 0, _SETTLE_SECONDS)
            for follower in self._cast.followers:
                follower.catch_up()
            final = FinalRead(self._final_etags(), {follower.name: follower.since for follower in self._cast.followers})
            self._show("judging")
            verdict = judge(self._history, database, self._stage.settings.storage_directory, final)
        if not settled:
            self._lost.append(Violation("trees are whole and counted", "", "housekeeping did not come to an end"))
        for violation in self._lost:
            verdict.add(violation)
        verdict.looked_at |= self._history.counts() | self._runs_of_chunks()
        return verdict

    def _runs_of_chunks(self) -> dict[str, int]:
        """How many messages about chunks of imports were delivered, and how many of them more than once."""
        log = self._options.folder / "logs" / "worker.log"
        lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
        runs = Counter(line.partition(RUN)[2].split()[0].strip('",') for line in lines if RUN in line)
        return {"messages of imports": len(runs), "of them delivered twice": sum(n > 1 for n in runs.values())}

    def _dead(self) -> bool:
        return any(each.failure for each in self._cast.everybody)

    def _join(self, clients: Sequence[Client]) -> None:
        deadline = time.monotonic() + _FINISH_SECONDS
        for client in clients:
            ended = client.ended(max(0.0, deadline - time.monotonic()))
            if not ended or client.failure is not None:
                text = f"died: {client.failure!r}" if client.failure else "did not come to an end"
                self._lost.append(Violation("answers are explicable", client.name, text))

    def _final_etags(self) -> dict[str, str]:
        with HttpClient(self._stage.doors, 0) as http:
            answers = {each: http.ask("GET", f"/instances/{each}/metadata/{METADATA}") for each in self._cast.stock}
        return {each: answer.headers["etag"] for each, answer in answers.items() if answer.status == 200}

    def _show(self, phase: str) -> None:
        counts = self._history.progress()
        self._report(Progress(phase, self._history.now(), *counts))


def clean(folder: Path) -> None:
    """Remove what is large and was needed only by the run: servers' data and the storage area."""
    for name in ("postgresql", "standby", "redis", "storage", "imports", "disk"):
        shutil.rmtree(folder / name, ignore_errors=True)
