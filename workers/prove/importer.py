"""A client that imports folders of files through Celery, and believes what the command says at its end."""

import io
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from rich.console import Console

from cluster.config import Settings
from cluster.dicom.public_ids import public_ids
from cluster.errors import ClusterError
from workers.load.plan import Portion, instances_of
from workers.load.transports import part10
from workers.prove.client import Client
from workers.prove.doors import SIZE, md5
from workers.prove.hasty_worker import PACE
from workers.prove.history import Kind, Operation, Outcome

_FILES = 150
_TWICE = 0.1
"""Which part of the files is there a second time under another name."""
_PAUSE_SECONDS = 1.0


class Importer(Client):
    """Imports what it has made until the command says that all of it is there, in the same or in another import."""

    def __init__(self, *client: object, portion: Portion, seed: int, folder: Path, settings: Settings) -> None:
        super().__init__(*client)  # type: ignore[arg-type]
        self._portion = portion
        self._seed = seed
        self._folder = folder
        self._settings = settings

    def work(self) -> None:
        stream = instances_of(self._portion, size=SIZE, seed=self._seed)
        while not self._stopping.wait(self.random.uniform(0, 2 * _PAUSE_SECONDS)):
            files: dict[str, bytes] = {}
            for instance in islice(stream, _FILES):
                uids = (instance.patient_id, instance.study_instance_uid, instance.series_instance_uid)
                public_id = public_ids(*uids, instance.sop_instance_uid).instance
                files[public_id] = part10(instance)
                self.history.instance(public_id, instance, md5(instance.data_set))
            self._import(files)

    def _import(self, files: dict[str, bytes]) -> None:
        """Again and again until all is acknowledged; what was not may have been imported."""
        self._write(files)
        failures = 0
        while not self.gone:
            began = self.history.now()
            outcome, detail = self._run_once()
            for public_id in files:
                stored = Operation(self.name, Kind.STORE, public_id, "", began, self.history.now(), outcome, detail)
                self.history.add(stored)
            if outcome is not Outcome.UNKNOWN:
                break
            failures += 1
            self.pause(failures)
        shutil.rmtree(self._folder)

    def _write(self, files: dict[str, bytes]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(files.values()):
            (self._folder / f"{number}.dcm").write_bytes(content)
            if self.random.random() < _TWICE:
                (self._folder / f"{number} again.dcm").write_bytes(content)

    def _run_once(self) -> tuple[Outcome, str]:
        # Only here: this is all of Celery.
        from workers.import_command import EXIT_DONE, import_files

        said = io.StringIO()
        run: Callable[..., int] = import_files
        try:
            status = run(
                self._settings,
                [self._folder],
                report=self._folder.with_suffix(".jsonl"),
                pace=PACE,
                console=Console(file=said, width=200),
            )
        except ClusterError as error:
            return Outcome.UNKNOWN, str(error)
        return (Outcome.DONE, "") if status == EXIT_DONE else (Outcome.UNKNOWN, said.getvalue()[-300:])
