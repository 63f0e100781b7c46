"""A client that stores, sends again, reads back and deletes instances of its own, some in studies shared with others.

Instances are small and a series holds five, so deletes often take the last child, and studies are created while
others delete them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from cluster.dicom.public_ids import public_ids
from workers.load.plan import Portion, instances_of
from workers.load.synthetic import SyntheticInstance
from workers.load.transports import part10
from workers.prove.client import Client
from workers.prove.doors import SIZE, DicomClient, Door, HttpClient, md5
from workers.prove.history import Kind, Operation, Outcome

_REMEMBERED = 60
"""Instances that a writer reads back, sends again and deletes."""
_ENDLESS = 10**9


@dataclass(slots=True)
class _Own:
    public_id: str
    instance: SyntheticInstance
    file: bytes
    settled: bool = True
    """Whether every attempt to store it was answered: a lost one may still arrive, even after a delete."""


def store_once(http: HttpClient, file: bytes) -> tuple[Outcome, str]:
    """Upload a file once."""
    answer = http.ask("POST", "/instances", file)
    if answer.status == 200:
        return Outcome.DONE, ""
    detail = f"HTTP {answer.status} {answer.body[:200]!r}"
    # 507 and 503: as with DIMSE, out of resources; 500 would be an error of ours.
    return (Outcome.UNKNOWN if answer.status in (0, 503, 507) else Outcome.UNEXPECTED), detail


class Writer(Client):
    """See the module. `portion` is what it stores, in this order; doors are tried in turn from `home` on."""

    def __init__(self, *client: object, portion: Portion, number: int, seed: int, doors: Sequence[Door]) -> None:
        super().__init__(*client)  # type: ignore[arg-type]
        self._portion = portion
        self._seed = seed
        self._doors = doors
        self._number = number
        self._own: list[_Own] = []
        self.begun = 0
        """Instances of its portion that it has come to."""

    def work(self) -> None:
        with (
            DicomClient(self._doors, self._number, f"WRITER{self._number}") as self._dicom,
            HttpClient(self._doors, self._number) as self._http,
        ):
            for instance in instances_of(self._portion, size=SIZE, seed=self._seed):
                if self.stopping:
                    return
                self.begun += 1
                self._store_new(instance)
                self._look_back()

    def _store_new(self, instance: SyntheticInstance) -> None:
        ids = public_ids(
            instance.patient_id, instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
        )
        own = _Own(ids.instance, instance, part10(instance))
        self.history.instance(own.public_id, instance, md5(instance.data_set))
        self._store(own)
        if len(self._own) == _REMEMBERED:
            self._own.pop(self.random.randrange(_REMEMBERED))
        self._own.append(own)

    def _look_back(self) -> None:
        """With some probability do something with an instance of earlier."""
        dice = self.random.random()
        own = self.random.choice(self._own)
        if dice < 0.10:
            self._read(own)
        elif dice < 0.20 and own.settled:
            self._delete(own)
        elif dice < 0.25:
            self._store(own)
        elif dice < 0.29:
            # Who only moves when something breaks leaves the node to itself that was broken last.
            self._dicom.move()
            self._http.move()

    def _store(self, own: _Own) -> None:
        """Send until it is acknowledged or the run is over."""
        failures = 0
        by_dicom = self.random.random() < 0.7
        while not self.gone:
            began = self.history.now()
            outcome, detail = self._dicom.store(own.instance) if by_dicom else store_once(self._http, own.file)
            self._note(Kind.STORE, own, "", began, outcome, detail)
            if outcome is Outcome.UNKNOWN:
                own.settled = False
            if outcome in (Outcome.DONE, Outcome.UNEXPECTED):
                return
            failures += 1
            self.pause(failures)

    def _read(self, own: _Own) -> None:
        began = self.history.now()
        answer = self._http.ask("GET", f"/instances/{own.public_id}/file")
        if answer.status == 200:
            found = "same" if answer.body.endswith(own.instance.data_set) else "other"
            self._note(Kind.READ, own, found, began, Outcome.DONE, "")
        elif answer.status == 404:
            self._note(Kind.READ, own, "absent", began, Outcome.DONE, "")
        else:
            self._note(Kind.READ, own, "", began, *_failed(answer.status, answer.body))

    def _delete(self, own: _Own) -> None:
        """Delete until it is answered; what was possibly deleted later than that is not stored again."""
        self._own.remove(own)
        failures = 0
        while not self.gone:
            began = self.history.now()
            answer = self._http.ask("DELETE", f"/instances/{own.public_id}")
            if answer.status in (200, 404):
                found = "present" if answer.status == 200 else "absent"
                self._note(Kind.DELETE, own, found, began, Outcome.DONE, "")
                return
            outcome, detail = _failed(answer.status, answer.body)
            self._note(Kind.DELETE, own, "", began, outcome, detail)
            if outcome is Outcome.UNEXPECTED:
                return
            failures += 1
            self.pause(failures)

    def _note(self, kind: Kind, own: _Own, value: str, began: float, outcome: Outcome, detail: str) -> None:
        ended = self.history.now()
        self.history.add(Operation(self.name, kind, own.public_id, value, began, ended, outcome, detail))


def _failed(status: int, body: bytes) -> tuple[Outcome, str]:
    outcome = Outcome.UNKNOWN if status in (0, 503) else Outcome.UNEXPECTED
    return outcome, f"HTTP {status} {body[:200]!r}"


def portions(writers: int, *, beside: bool = False) -> list[Portion]:
    """Half of the writers take turns in one stream of studies, the others have streams of their own.

    With `beside` there is one turn more in the stream, for `turns_beside`.
    """
    sharing = writers // 2
    dealt = [Portion("shared", range(writer, _ENDLESS, sharing + beside)) for writer in range(sharing)]
    return dealt + [Portion(str(writer), range(_ENDLESS)) for writer in range(sharing, writers)]


def turns_beside(writers: Sequence[Writer]) -> range:
    """The instances of the shared stream that no writer takes, from about where the writers are now."""
    sharing = len(writers) // 2
    return range(writers[0].begun * (sharing + 1) + sharing, _ENDLESS, sharing + 1)


def stock(seed: int, count: int) -> list[SyntheticInstance]:
    """Instances for those clients that change what is there and never delete it."""
    return list(islice(instances_of(Portion("stock", range(_ENDLESS)), size=SIZE, seed=seed), count))
