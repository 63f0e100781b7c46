"""The use case: attach bytes to a resource, or change their form.

Durable bytes, then the row, then the answer, as for instances. A file is discarded only where it is certain that no row
names it: not after a commit whose answer was lost.
"""

import hashlib
import logging
from collections.abc import Iterator
from typing import BinaryIO

from cluster import telemetry
from cluster.database import Database
from cluster.errors import ClusterError, CommitUnknown, NodeBusy, UnknownResource
from cluster.index.attached_files import AttachedBytes, Slot, exchange_attachment, put_attachment, read_attachment
from cluster.index.attachments import Compression
from cluster.index.limits import Limits
from cluster.index.revisions import Precondition, Version
from cluster.ingest.form import finish
from cluster.storage.area import IncomingAttachment, StorageArea
from cluster.storage.zlib_form import deflated, inflated, plain

_LOG = logging.getLogger(__name__)

_EXCHANGES = 5


def attach(
    database: Database,
    storage: StorageArea,
    slot: Slot,
    incoming: IncomingAttachment,
    *,
    compress: bool,
    hashes: bool,
    precondition: Precondition,
    limits: Limits,
) -> Version:
    """Attach what was written to `incoming`, which is discarded if that fails; the new version.

    Raises:
        UnknownResource, RevisionConflict, StorageFull: as `put_attachment`.
    """
    try:
        incoming, new = finish(storage, incoming, slot.kind, compress=compress, hashes=hashes)
        storage.make_durable([incoming])
        beside = storage.accompanying([(incoming, slot.public_id)])
        version = put_attachment(database, slot, new, precondition, limits, beside)
    except CommitUnknown:
        _keep(incoming)
        raise
    except BaseException:
        incoming.discard()
        raise
    incoming.keep()
    return version


def change_form(database: Database, storage: StorageArea, slot: Slot, form: Compression, *, hashes: bool) -> None:
    """Store the same content compressed, or plain; nothing happens if it is like that already.

    Raises:
        UnknownResource: there is no such resource, or no such attachment.
        NodeBusy: somebody changes the attachment all the time.
    """
    for _ in range(_EXCHANGES):
        present = read_attachment(database, slot)
        if present is None:
            raise UnknownResource(f"resource {slot.public_id} has no attachment {slot.kind}")
        if present.bytes.compression == form:
            return
        if _exchange(database, storage, slot, present.bytes, form, hashes):
            return
    raise NodeBusy("the attachment is being changed by others")


def content(file: BinaryIO, attached: AttachedBytes) -> Iterator[bytes]:
    """The uncompressed bytes of an attachment in pieces; raises StorageFailed."""
    if attached.compression == Compression.ZLIB_WITH_SIZE:
        return inflated(file, attached.size, attached.uuid)
    return plain(file)


def is_intact(storage: StorageArea, attached: AttachedBytes) -> bool:
    """Whether the bytes in the storage area are those whose MD5 the index has; False if it has none."""
    if not attached.md5 or not attached.compressed_md5:
        return False
    try:
        for expected, form in ((attached.compressed_md5, plain), (attached.md5, lambda f: content(f, attached))):
            with storage.open(attached.uuid) as file:
                digest = hashlib.md5(usedforsecurity=False)
                for piece in form(file):
                    digest.update(piece)
            if digest.hexdigest() != expected:
                return False
    except ClusterError as error:
        _LOG.warning("attachment %s is damaged: %s", attached.uuid, error)
        return False
    return True


def _exchange(
    database: Database, storage: StorageArea, slot: Slot, old: AttachedBytes, form: Compression, hashes: bool
) -> bool:
    incoming = storage.create(slot.kind)
    try:
        with storage.open(old.uuid) as file:
            pieces = deflated(file, old.size) if form == Compression.ZLIB_WITH_SIZE else content(file, old)
            for piece in pieces:
                incoming.write(piece)
        compressed_md5 = incoming.md5() if hashes else ""
        incoming.finish()
        storage.make_durable([incoming])
        new = AttachedBytes(incoming.uuid, form, incoming.size, old.size, old.md5, compressed_md5)
        beside = storage.accompanying([(incoming, slot.public_id)])
        is_done = exchange_attachment(database, slot, old.uuid, new, beside)
    except CommitUnknown:
        _keep(incoming)
        raise
    except BaseException:
        incoming.discard()
        raise
    if is_done:
        incoming.keep()
    else:
        incoming.discard()
    return is_done


def _keep(incoming: IncomingAttachment) -> None:
    telemetry.files_left.inc()
    incoming.leave()
    _LOG.error("commit unknown, file kept: %s", incoming.uuid)
