"""Who works in a run: clients of every kind, and who breaks things."""

import threading
from collections.abc import Sequence

from cluster.dicom.public_ids import public_ids
from cluster.errors import ClusterError
from workers.load.plan import Portion
from workers.load.transports import part10
from workers.prove.client import Client
from workers.prove.doors import HttpClient, md5
from workers.prove.faults import FAULTS, Injector
from workers.prove.follower import Follower
from workers.prove.guest import GuestWriter
from workers.prove.history import History, Kind, Operation, Outcome
from workers.prove.importer import Importer
from workers.prove.options import ProveOptions
from workers.prove.reviser import Reviser
from workers.prove.stage import Stage
from workers.prove.writer import Writer, portions, stock, store_once, turns_beside

_STOCK = 4


class Cast:
    """All of them, not started; `stopping` ends what clients begin, `gone` all that they do, `calm` the faults.

    Raises:
        ClusterError: the cluster does not take an instance before any fault.
    """

    def __init__(self, options: ProveOptions, stage: Stage, history: History) -> None:
        self._options = options
        self._stage = stage
        self._history = history
        self.stopping, self.calm, self.gone = (threading.Event() for _ in range(3))
        self.stock = self._store_stock()
        self.clients = self._make_clients()
        self.followers = self._make_followers()
        self.injectors = self._make_injectors()

    @property
    def everybody(self) -> list[Client]:
        """Clients, followers and injectors."""
        return [*self.clients, *self.followers, *self.injectors]

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
        return (name, str(self._options.seed), self._history, stopping, self.gone)

    def _make_clients(self) -> list[Client]:
        options, doors = self._options, self._stage.doors
        writers = [
            Writer(
                *self._client(f"writer-{number}", self.stopping),
                portion=portion,
                number=number,
                seed=options.seed,
                doors=doors,
            )
            for number, portion in enumerate(portions(options.writers, beside=self._stage.guest is not None))
        ]
        revisers = [
            Reviser(*self._client(f"reviser-{number}", self.stopping), instances=self.stock, number=number, doors=doors)
            for number in range(options.revisers)
        ]
        return [*writers, *revisers, *self._make_importers(), *self._make_guest_writers(writers)]

    def _make_importers(self) -> list[Importer]:
        return [
            Importer(
                *self._client(f"importer-{number}", self.stopping),
                portion=Portion(f"import {number}", range(10**9)),
                seed=self._options.seed,
                folder=self._options.folder.absolute() / "imports" / str(number),
                settings=self._stage.settings,
            )
            for number in range(self._options.importers)
        ]

    def _make_guest_writers(self, writers: Sequence[Writer]) -> list[GuestWriter]:
        guest = self._stage.guest
        if guest is None:
            return []
        client = self._client("guest", self.stopping)
        return [GuestWriter(*client, guest=guest, seed=self._options.seed, share=lambda: turns_beside(writers))]

    def _make_followers(self) -> list[Follower]:
        return [
            Follower(
                *self._client(f"follower-{number}", self.stopping), since=0, number=number, doors=self._stage.doors
            )
            for number in range(self._options.followers)
        ]

    def _make_injectors(self) -> list[Injector]:
        groups = {name: [fault for fault in group if fault in self._options.faults] for name, group in FAULTS.items()}
        return [
            Injector(
                *self._client(f"injector of {name}", self.calm),
                stage=self._stage,
                kinds=kinds,
                pause_seconds=self._options.pause_seconds,
            )
            for name, kinds in groups.items()
            if kinds
        ]
