"""A real Orthanc that writes into the same archive for a while, and the client that writes through it.

Debian's plugin 4.0 wants an index of revision 1 when it starts, does not notice that it is upgraded under it, and goes
on writing; only its deletions fail then, so the client stores and nothing else. Where a COMMIT was not answered, such
an Orthanc takes back the file of rows that may be there: it does not promise what our nodes do. So it runs only while
nobody crashes the database, and what it answers with an error counts as open.
"""

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cluster.dicom.public_ids import public_ids
from workers.load.plan import Portion, instances_of
from workers.load.synthetic import SyntheticInstance
from workers.load.transports import part10
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess
from workers.prove.client import Client
from workers.prove.doors import SIZE, Door, HttpClient, md5
from workers.prove.history import Kind, Operation, Outcome

REVISION = 1
_PLACES = "/usr/sbin:/usr/local/sbin"
_PLUGIN_FOLDERS = ("/usr/share/orthanc/plugins", "/usr/local/share/orthanc/plugins", "/usr/lib/orthanc")
_START_SECONDS = 60.0
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class OrthancFiles:
    """The program, and its plugin for an index in PostgreSQL."""

    program: Path
    plugin: Path


def find_orthanc() -> OrthancFiles | None:
    """What is installed, if both are."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path=_PLACES)
    plugins = [path for folder in _PLUGIN_FOLDERS for path in Path(folder).glob("libOrthancPostgreSQLIndex.so*")]
    return OrthancFiles(Path(program), plugins[0]) if program and plugins else None


class Guest:
    """That Orthanc, on the same database and storage area; runs between `start` and `stop`."""

    def __init__(self, folder: Path, files: OrthancFiles, storage_directory: Path) -> None:
        dicom_port, self.http_port = free_ports(2)
        self._configuration = folder / "guest.json"
        self._process = ManagedProcess(
            "guest", [files.program, self._configuration], log_path=folder / "logs" / "guest.log"
        )
        self._document: dict[str, Any] = {
            "Name": "guest",
            "StorageDirectory": str(storage_directory),
            "HttpPort": self.http_port,
            "DicomPort": dicom_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "OverwriteInstances": False,
            "Plugins": [str(files.plugin)],
        }
        self.is_open = False
        self.acknowledged = 0

    def start(self, database_uri: str) -> None:
        """Returns when it answers; raises ChildProcessError or TimeoutError."""
        at = urlsplit(database_uri)
        database = {
            "EnableIndex": True,
            "EnableStorage": False,
            "Lock": False,
            "Host": at.hostname,
            "Port": at.port,
            "Database": at.path.lstrip("/"),
            "Username": at.username,
            "Password": unquote(at.password or ""),
        }
        self._configuration.write_text(json.dumps(self._document | {"PostgreSQL": database}), "utf-8")
        self._process.start()
        self._process.wait_ready(self._answers, _START_SECONDS)
        self.is_open = True

    def stop(self) -> None:
        """What is in hand is finished first."""
        self.is_open = False
        self._process.terminate()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/system", timeout=2) as answer:
                return bool(json.load(answer)["Name"] == "guest")
        except OSError:
            return False


class GuestWriter(Client):
    """Stores through that Orthanc while it is there: studies of its own, and those that the others are at."""

    def __init__(
        self,
        *client: object,
        guest: Guest,
        seed: int,
        share: Callable[[], range],
    ) -> None:
        super().__init__(*client)  # type: ignore[arg-type]
        self._guest = guest
        self._seed = seed
        self._share = share
        self._next = 0

    def work(self) -> None:
        own = instances_of(Portion("guest", range(10**9)), size=SIZE, seed=self._seed)
        with HttpClient([Door(0, self._guest.http_port)], 0) as http:
            while not self._stopping.wait(_PAUSE_SECONDS):
                if not self._guest.is_open:
                    continue
                shared = self._shared()
                while self._guest.is_open and not self.stopping:
                    self._store(http, next(own if self.random.random() < 0.3 else shared))

    def _shared(self) -> Iterator[SyntheticInstance]:
        """From where the others are now, and never what this client had before."""
        share = self._share()
        self._next = max(self._next, share.start)
        numbers = range(self._next, share.stop, share.step)
        for instance in instances_of(Portion("shared", numbers), size=SIZE, seed=self._seed):
            self._next += share.step
            yield instance

    def _store(self, http: HttpClient, instance: SyntheticInstance) -> None:
        """Until it is acknowledged, or the guest has left."""
        uids = (instance.patient_id, instance.study_instance_uid, instance.series_instance_uid)
        public_id = public_ids(*uids, instance.sop_instance_uid).instance
        self.history.instance(public_id, instance, md5(instance.data_set))
        file, failures = part10(instance), 0
        while self._guest.is_open and not self.gone:
            began = self.history.now()
            answer = http.ask("POST", "/instances", file)
            outcome = Outcome.DONE if answer.status == 200 else Outcome.UNKNOWN
            detail = "" if outcome is Outcome.DONE else f"HTTP {answer.status} {answer.body[:200]!r}"
            stored = Operation(self.name, Kind.STORE, public_id, "", began, self.history.now(), outcome, detail)
            self.history.add(stored)
            if outcome is Outcome.DONE:
                self._guest.acknowledged += 1
                return
            failures += 1
            self.pause(failures)
