"""One run: a cluster, clients, faults for a while, then rest, and the verdict."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cluster.database import Database
from cluster.dicom.public_ids import public_ids
from cluster.errors import ClusterError
from cluster.index.check import unsettled
from workers.load.transports import part10
from workers.local.children import wait_until
from workers.prove.checker import FinalRead, Verdict, judge
from workers.prove.client import Client
from workers.prove.doors import HttpClient, md5
from workers.prove.faults import FAULTS, Injector
from workers.prove.follower import Follower
from workers.prove.history import History, Kind, Operation, Outcome
from workers.prove.reviser import METADATA, Reviser
from workers.prove.rules import Violation
from workers.prove.stage import PROGRAM, Stage
from workers.prove.writer import Writer, portions, stock, store_once

HISTORY = "history.sqlite"
_FINISH_SECONDS = 90.0
_SETTLE_SECONDS = 120.0
_STOCK = 4


@dataclass(frozen=True, slots=True)
class ProveOptions:
    """What a run does. `faults` are names of workers/prove/faults.py; none: histories without faults."""

    folder: Path
    seed: int
    seconds: float = 60.0
    nodes: int = 3
    writers: int = 8
    revisers: int = 3
    followers: int = 2
    faults: Sequence[str] = tuple(name for group in FAULTS.values() for name in group)
    pause_seconds: float = 1.0
    """Between two faults of one injector, on average."""
    program: Sequence[str] = PROGRAM
    """Another program in place of ours, which the judge has to see through."""


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
    with (
        Stage(options.folder, options.nodes, lambda text: report(Progress(text, 0, 0, 0)), options.program) as stage,
        History(options.folder / HISTORY) as history,
    ):
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
        self._stopping, self._calm, self._gone = (threading.Event() for _ in range(3))
        self._stock = self._store_stock()
        self._clients = self._make_clients()
        self._followers = self._make_followers()
        self._injectors = self._make_injectors()
        self._lost: list[Violation] = []

    def work(self) -> None:
        """Clients and faults, until the time is over and everybody has finished."""
        for client in (*self._clients, *self._followers, *self._injectors):
            client.start()
        end = time.monotonic() + self._options.seconds
        while time.monotonic() < end and not self._dead():
            self._show("faults" if self._injectors else "no faults")
            time.sleep(0.2)
        self._calm.set()
        self._join(self._injectors)
        if not self._stage.heal():
            self._lost.append(Violation("answers are explicable", "", "nodes were not ready again after all faults"))
        self._stopping.set()
        self._show("finishing")
        self._join(self._clients)
        self._gone.set()
        self._join(self._followers)

    def verdict(self) -> Verdict:
        """Wait until housekeeping has done its part, then judge."""
        self._show("settling")
        with contextlib.closing(Database(self._stage.settings.postgresql, time_budget_seconds=60)) as database:
            database.open()
            settled = wait_until(lambda: unsettled(database) == 0, _SETTLE_SECONDS)
            for follower in self._followers:
                follower.catch_up()
            final = FinalRead(self._final_etags(), {follower.name: follower.since for follower in self._followers})
            self._show("judging")
            verdict = judge(self._history, database, self._stage.settings.storage_directory, final)
        if not settled:
            self._lost.append(Violation("trees are whole and counted", "", "housekeeping did not come to an end"))
        for violation in self._lost:
            verdict.add(violation)
        verdict.looked_at |= self._history.counts()
        return verdict

    def _store_stock(self) -> list[str]:
        public = []
        with HttpClient(self._stage.doors, 0) as http:
            for instance in stock(self._options.seed, _STOCK):
                began = self._history.now()
                outcome, detail = store_once(http, part10(instance))
                if outcome is not Outcome.DONE:
                    raise ClusterError(f"the cluster does not take an instance before any fault: {detail}")
                uids = (instance.patient_id, instance.study_instance_uid, instance.series_instance_uid)
                public.append(public_ids(*uids, instance.sop_instance_uid).instance)
                self._history.instance(public[-1], instance, md5(instance.data_set))
                stored = Operation("stock", Kind.STORE, public[-1], "", began, self._history.now(), outcome)
                self._history.add(stored)
        return public

    def _client(self, name: str, stopping: threading.Event) -> tuple[object, ...]:
        return (name, str(self._options.seed), self._history, stopping, self._gone)

    def _make_clients(self) -> list[Client]:
        options, doors = self._options, self._stage.doors
        writers: list[Client] = [
            Writer(
                *self._client(f"writer-{number}", self._stopping),
                portion=portion,
                number=number,
                seed=options.seed,
                doors=doors,
            )
            for number, portion in enumerate(portions(options.writers))
        ]
        return writers + [
            Reviser(
                *self._client(f"reviser-{number}", self._stopping), instances=self._stock, number=number, doors=doors
            )
            for number in range(options.revisers)
        ]

    def _make_followers(self) -> list[Follower]:
        return [
            Follower(
                *self._client(f"follower-{number}", self._stopping), since=0, number=number, doors=self._stage.doors
            )
            for number in range(self._options.followers)
        ]

    def _make_injectors(self) -> list[Injector]:
        groups = {name: [fault for fault in group if fault in self._options.faults] for name, group in FAULTS.items()}
        return [
            Injector(
                *self._client(f"injector of {name}", self._calm),
                stage=self._stage,
                kinds=kinds,
                pause_seconds=self._options.pause_seconds,
            )
            for name, kinds in groups.items()
            if kinds
        ]

    def _dead(self) -> bool:
        return any(each.failure for each in (*self._clients, *self._followers, *self._injectors))

    def _join(self, clients: Sequence[Client]) -> None:
        deadline = time.monotonic() + _FINISH_SECONDS
        for client in clients:
            ended = client.ended(max(0.0, deadline - time.monotonic()))
            if not ended or client.failure is not None:
                text = f"died: {client.failure!r}" if client.failure else "did not come to an end"
                self._lost.append(Violation("answers are explicable", client.name, text))

    def _final_etags(self) -> dict[str, str]:
        with HttpClient(self._stage.doors, 0) as http:
            answers = {each: http.ask("GET", f"/instances/{each}/metadata/{METADATA}") for each in self._stock}
        return {each: answer.headers["etag"] for each, answer in answers.items() if answer.status == 200}

    def _show(self, phase: str) -> None:
        counts = self._history.progress()
        self._report(Progress(phase, self._history.now(), *counts))


def clean(folder: Path) -> None:
    """Remove what is large and was needed only by the run: servers' data and the storage area."""
    for name in ("postgresql", "redis", "storage"):
        shutil.rmtree(folder / name, ignore_errors=True)
