"""The use case: take an instance in. DIMSE, HTTP and bulk import all come through here.

::

    receive() → Reception.write()… → stage(): parse, bytes under their final name → commit(): durable, rows, outcome
"""

import threading
import time
from collections.abc import Sequence
from types import TracebackType

from cluster import telemetry, tracing
from cluster.config import Settings
from cluster.database import Database
from cluster.dicom.header import DicomInstance, read_part10
from cluster.errors import ClusterError, NodeBusy, ReferenceMismatch
from cluster.failpoints import arm, failpoint
from cluster.index.attached_files import AttachedBytes
from cluster.index.enumerations import AttachmentType
from cluster.index.limits import Limits
from cluster.index.opening import index_of
from cluster.ingest.batch import GroupCommit
from cluster.ingest.commit import Outcome, Staged, Stored, commit_batch
from cluster.ingest.form import finish
from cluster.ingest.names import RegisteredNames
from cluster.ingest.origin import Origin
from cluster.storage.area import IncomingAttachment, StorageArea
from cluster.storage.choice import open_storage_area

_DOORS = {"DicomProtocol": "dimse", "RestApi": "http"}


class Intake:
    """One process's way into the archive; thread-safe."""

    def __init__(
        self, settings: Settings, database: Database, storage: StorageArea, names: RegisteredNames | None = None
    ) -> None:
        self.database = database
        self._names = names
        self.storage = storage
        self._settings = settings
        self._limits = Limits.of(settings)
        self._receiving = 0  # their bytes are still coming
        self._in_hand = 0  # not answered yet
        self._draining = False
        self._changed = threading.Condition()
        cluster = settings.cluster
        self._group = GroupCommit(
            self._commit_batch,
            on_their_way=lambda: self._receiving,
            maximum_size=cluster.maximum_batch_size,
            maximum_wait_seconds=cluster.maximum_batch_wait_milliseconds / 1000,
            batches_in_flight=cluster.batches_in_flight,
        )

    def receive(
        self, origin: Origin, *, sop_class_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> "Reception":
        """Begin to receive one instance.

        Args:
            sop_class_uid, sop_instance_uid: what a C-STORE request announces; the data set has to agree.

        Raises:
            NodeBusy: this process is draining.
            Transient, DatabaseRefused: there is no name for the attachment now.
        """
        with self._changed:
            if self._draining:
                raise NodeBusy("this node is draining")
            self._receiving += 1
            self._in_hand += 1
        try:
            attachment = self.storage.create()
        except BaseException:
            self._received()
            self._answered()
            raise
        return Reception(self, origin, attachment, (sop_class_uid, sop_instance_uid))

    def store_all(self, batch: Sequence[Staged]) -> list[Outcome]:
        """Store instances that came together, in batches of their own; outcomes in their order."""
        outcomes: list[Outcome | None] = [None] * len(batch)
        left = list(range(len(batch)))
        while left:
            # An instance that occurs twice goes to a later batch, where it is found stored.
            chosen: dict[str, int] = {}
            for position in left:
                if len(chosen) < self._settings.cluster.maximum_batch_size:
                    chosen.setdefault(batch[position].instance.public_ids.instance, position)
            for position, outcome in zip(
                chosen.values(), self._commit_batch([batch[position] for position in chosen.values()]), strict=True
            ):
                outcomes[position] = outcome
            taken = set(chosen.values())
            left = [position for position in left if position not in taken]
        return [outcome for outcome in outcomes if outcome is not None]

    def drain(self, seconds: float) -> bool:
        """Take nothing new and wait until everything in hand is answered; False if time ran out first."""
        with self._changed:
            self._draining = True
            return self._changed.wait_for(lambda: self._in_hand == 0, seconds)

    def close(self) -> None:
        """Commit what was handed in, then let go of the database."""
        self._group.stop()
        if self._names is not None:
            self._names.close()
        self.database.close()

    def _commit_batch(self, batch: Sequence[Staged]) -> list[Outcome]:
        overwrite = self._settings.overwrite_instances
        return commit_batch(self.database, self.storage, overwrite, batch, self._limits)

    def _store(self, staged: Staged) -> Stored:
        return self._group.store(staged)

    def _received(self) -> None:
        with self._changed:
            self._receiving -= 1

    def _answered(self) -> None:
        with self._changed:
            self._in_hand -= 1
            self._changed.notify_all()

    def _parse(self, attachment: IncomingAttachment) -> DicomInstance:
        started = time.monotonic()
        instance = read_part10(attachment.stream(), attachment.size, self._settings.default_encoding)
        telemetry.end_phase("parse", started)
        return instance

    def _finish(self, attachment: IncomingAttachment) -> tuple[IncomingAttachment, AttachedBytes]:
        return finish(
            self.storage,
            attachment,
            AttachmentType.DICOM,
            compress=self._settings.storage_compression,
            hashes=self._settings.store_md5_for_attachments,
        )


class Reception:
    """One instance on its way in: a context manager that forgets everything unless the instance was handed on."""

    def __init__(
        self,
        intake: Intake,
        origin: Origin,
        attachment: IncomingAttachment,
        announced: tuple[str | None, str | None],
    ) -> None:
        self._intake = intake
        self._origin = origin
        self._attachment = attachment
        self._announced = announced
        self._door = _DOORS.get(origin.protocol, "other")
        self._handed_on = False
        self._receiving = True
        self._started = time.monotonic()

    def __enter__(self) -> "Reception":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._handed_on:
            self._attachment.discard()
            telemetry.instances.labels(self._door, "refused" if isinstance(error, ClusterError) else "aborted").inc()
        self._no_longer_receiving()
        self._intake._answered()

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes of a Part 10 file; raises StorageFull or StorageFailed."""
        self._attachment.write(data)

    def stage(self) -> Staged:
        """All bytes are here: parse them and bring them under their final name.

        Raises:
            BadDicom: the file cannot be stored.
            StorageFull, StorageFailed: its bytes cannot.
        """
        telemetry.end_phase("receive", self._started)
        telemetry.received_bytes.labels(self._door).inc(self._attachment.size)
        if tracing.tracer is not None:
            tracing.tracer.note("orthanc_cluster.bytes", self._attachment.size)
        instance = self._intake._parse(self._attachment)
        self._check_announcement(instance)
        attachment, file = self._intake._finish(self._attachment)
        failpoint("bytes_written")
        self._handed_on = True
        return Staged(instance, attachment, file, self._origin)

    def commit(self) -> Stored:
        """Stage, then wait until bytes and rows are durable.

        Raises:
            ClusterError: it was not stored; `cluster.ingest.acknowledge` says what to tell the sender.
        """
        staged = self.stage()
        self._no_longer_receiving()
        try:
            stored = self._intake._store(staged)
        except ClusterError:
            telemetry.instances.labels(self._door, "failed").inc()
            raise
        telemetry.instances.labels(self._door, stored.status).inc()
        return stored

    def _no_longer_receiving(self) -> None:
        if self._receiving:
            self._receiving = False
            self._intake._received()

    def _check_announcement(self, instance: DicomInstance) -> None:
        found = (instance.sop_class_uid, instance.sop_instance_uid)
        for name, announced, actual in zip(("SOPClassUID", "SOPInstanceUID"), self._announced, found, strict=True):
            if announced is not None and announced.rstrip("\0 ") != actual:
                raise ReferenceMismatch(f"{name} of the request is {announced}, of the data set {actual}")


def open_intake(settings: Settings) -> Intake:
    """The intake of this process, with a pool and a storage area of its own; to be called after fork.

    Raises:
        StorageFailed: the storage directory cannot be used.
    """
    arm(settings.cluster.failpoints)
    cluster = settings.cluster
    database = index_of(settings)
    names = RegisteredNames(database, cluster.node_name)
    storage = open_storage_area(settings, database, names)
    database.open()
    return Intake(settings, database, storage, names)
