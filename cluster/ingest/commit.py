"""Durable bytes, then rows, then the answer: one batch.

The order is the promise. A file without a row is waste; a row without a file would be loss, and an answer without
both a lie. So files are removed only where it is certain that no row names them:

* PostgreSQL rolled the batch back, or was never asked: certain.
* AlreadyStored: the row names another file.
* CommitUnknown: not certain; the files stay and are counted, and it is found out later (cluster/reconciliation).
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from cluster import telemetry
from cluster.database import Database
from cluster.dicom.header import DicomInstance
from cluster.dicom.public_ids import PublicIds
from cluster.errors import ClusterError, CommitUnknown, Permanent
from cluster.failpoints import failpoint
from cluster.index.attached_files import AttachedBytes
from cluster.index.limits import UNLIMITED, Limits
from cluster.index.store_instances import InstanceRows, StoreResult, store_instances
from cluster.ingest.metadata import metadata_of
from cluster.ingest.origin import Origin
from cluster.storage.area import IncomingAttachment, StorageArea

_LOG = logging.getLogger(__name__)

Status = Literal["Success", "AlreadyStored"]


@dataclass(frozen=True, slots=True)
class Staged:
    """An instance that was parsed and whose bytes are under their final name, not yet durable."""

    instance: DicomInstance
    attachment: IncomingAttachment
    file: AttachedBytes
    """What the row says of the attachment."""
    origin: Origin


@dataclass(frozen=True, slots=True)
class Stored:
    """The index has the instance, durably."""

    ids: PublicIds
    status: Status


Outcome = Stored | ClusterError


def commit_batch(
    database: Database, storage: StorageArea, overwrite: str, batch: Sequence[Staged], limits: Limits = UNLIMITED
) -> list[Outcome]:
    """Store a batch, in which no instance occurs twice; outcomes in its order. Raises nothing but bugs.

    A Permanent error of the database may be the fault of one instance, so each is then tried alone.
    """
    telemetry.batch_instances.observe(len(batch))
    try:
        started = time.monotonic()
        storage.make_durable([staged.attachment for staged in batch])
        failpoint("bytes_durable")
        durable = telemetry.end_phase("bytes", started)
        owned = [(staged.attachment, staged.instance.public_ids.instance) for staged in batch]
        beside = storage.accompanying(owned)
        result = store_instances(database, overwrite, [_rows(staged) for staged in batch], limits, beside)
        failpoint("rows_committed")
        committed = time.monotonic()
        # The server's own time cannot be longer than ours but by the difference of two clocks.
        written = telemetry.end_phase("rows", durable, min(durable + result.seconds, committed))
        telemetry.end_phase("commit", written, committed)
    except CommitUnknown as error:
        telemetry.files_left.inc(len(batch))
        for staged in batch:
            staged.attachment.leave()
        _LOG.error("commit unknown, files kept: %s: %s", " ".join(s.attachment.uuid for s in batch), error)
        return [error] * len(batch)
    except Permanent as error:
        if len(batch) > 1:
            return [
                outcome for staged in batch for outcome in commit_batch(database, storage, overwrite, [staged], limits)
            ]
        return _refused(batch, error)
    except ClusterError as error:
        return _refused(batch, error)
    stored = [_stored(staged, result) for staged in batch]
    for staged, outcome in zip(batch, stored, strict=True):
        if outcome.status == "AlreadyStored":
            staged.attachment.discard()
        else:
            staged.attachment.keep()
    _remove_overwritten(storage, result.removed)
    return list(stored)


def _refused(batch: Sequence[Staged], error: ClusterError) -> list[Outcome]:
    for staged in batch:
        staged.attachment.discard()
    return [error] * len(batch)


def _remove_overwritten(storage: StorageArea, uuids: Sequence[str]) -> None:
    if uuids and len(storage.remove_all(uuids)) < len(uuids):
        _LOG.warning("files of overwritten attachments will be removed later")


def _stored(staged: Staged, result: StoreResult) -> Stored:
    ids = staged.instance.public_ids
    return Stored(ids, cast(Status, result.outcomes[ids.instance]))


def _rows(staged: Staged) -> InstanceRows:
    return InstanceRows(
        staged.instance,
        staged.file,
        metadata_of(staged.instance, staged.origin),
    )
