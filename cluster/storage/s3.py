"""The storage area in an S3-compatible bucket, with the keys of Orthanc's AWS S3 plugin (section AwsS3Storage).

Invariants:

* An attachment is one object, written by one request or one multipart upload, so it is there as a whole or not at all.
* Nothing is said to be durable before the bucket has answered each upload of the batch with success.
* Uploads are repeated under the same key with the same bytes, so a repetition changes nothing.
"""

import io
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from cluster.config import S3Settings
from cluster.database import ALONE, Accompanying
from cluster.errors import ClusterError, UnknownResource
from cluster.failpoints import failpoint
from cluster.storage.area import DICOM, IncomingAttachment
from cluster.storage.health import Health
from cluster.storage.memory_budget import MemoryBudget
from cluster.storage.names import Names
from cluster.storage.piecewise import PiecewiseReader
from cluster.storage.s3_bucket import Bucket
from cluster.storage.s3_keys import Keys
from cluster.storage.spool import Spool

_LOG = logging.getLogger(__name__)

UPLOADS = 32
"""Small attachments of all batches that are uploaded at the same time; each is mostly a wait for the answer."""

STREAMS = 2
"""Large attachments that are uploaded at the same time, each in parts (`s3_bucket.PART_BYTES`)."""

FIRST_PIECE_BYTES = 256 * 1024
LARGEST_PIECE_BYTES = 4 << 20
"""A reader asks for more at a time the longer it reads on: each request costs a round trip."""

PROBE_SECONDS = 30.0
"""Requests cost money: a bucket that took something so short ago is not probed."""


class S3StorageArea:
    """The storage area of one process; see `cluster.storage.area.StorageArea` for what the methods promise."""

    def __init__(self, settings: S3Settings, names: Names, memory: MemoryBudget, streaming_threshold: int) -> None:
        """Connects to nothing yet: a bucket that cannot be reached makes the node wait, not fail."""
        self.health = Health("the bucket has not been reached yet")
        self.names = names
        self.keys = Keys(settings)
        self.bucket = Bucket(settings)
        self._memory = memory
        self._streaming_threshold = streaming_threshold
        self._streams = threading.BoundedSemaphore(STREAMS)
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="s3")
        self._stored_at = -PROBE_SECONDS

    def create(self, kind: int = DICOM) -> "IncomingS3Object":
        """A new attachment, in memory or in a temporary file until it is uploaded."""
        return IncomingS3Object(self, self.names.take(), kind, self._memory, self._streaming_threshold)

    def make_durable(self, attachments: Sequence[IncomingAttachment]) -> None:
        """Upload what is in memory, side by side; what is large was uploaded by `finish`."""
        waiting = [each for each in attachments if isinstance(each, IncomingS3Object) and each.is_in_memory]
        uploads = [self._uploads.submit(each.upload) for each in waiting]
        # All of them have to end before anything is discarded.
        errors = [upload.exception() for upload in uploads]
        for error in errors:
            if error is not None:
                raise error

    def accompanying(self, owned: Sequence[tuple[IncomingAttachment, str]]) -> Accompanying:
        """Nothing: objects are durable before the transaction."""
        return ALONE

    def open(self, uuid: str) -> BinaryIO:
        """The object, read in pieces; raises UnknownResource, StorageFailed or StorageUnavailable."""
        for key in self.keys.candidates(uuid):
            found = self.bucket.first_piece(key, FIRST_PIECE_BYTES)
            if found is not None:
                return io.BufferedReader(_ObjectReader(self.bucket, key, *found), FIRST_PIECE_BYTES)
        raise UnknownResource(f"attachment {uuid} is not in the storage area")

    def remove(self, uuid: str) -> None:
        """Delete the object; raises StorageFailed or StorageUnavailable."""
        self.bucket.delete(list(self.keys.candidates(uuid)))

    def remove_all(self, uuids: Sequence[str]) -> list[str]:
        """Up to a thousand in one request; where one cannot be removed, all are tried again later."""
        try:
            self.bucket.delete([key for uuid in uuids for key in self.keys.candidates(uuid)])
        except UnknownResource as error:
            return [uuid for uuid in uuids if self._is_removed(uuid, error)] if len(uuids) > 1 else list(uuids)
        except ClusterError as error:
            _LOG.warning("objects of deleted attachments will be removed later: %s", error)
            return []
        return list(uuids)

    def _is_removed(self, uuid: str, error: ClusterError) -> bool:
        _LOG.warning("one by one: %s", error)
        return bool(self.remove_all([uuid]))

    def probe(self) -> None:
        """Write a small object, unless something was stored a moment ago: only that tells whether it may be done."""
        if self.health.reason is None and time.monotonic() - self._stored_at < PROBE_SECONDS:
            return
        try:
            self.store(self.keys.probe, memoryview(b"orthanc-cluster"), 0)
        except ClusterError:
            return
        self.health.recovered()

    def age_of(self, uuid: str) -> float | None:
        """Seconds since the object was written, by the clocks of bucket and machine; None if there is none."""
        for key in self.keys.candidates(uuid):
            written_at = self.bucket.written_at(key)
            if written_at is not None:
                return max(0.0, time.time() - written_at)
        return None

    def store(self, key: str, content: memoryview | BinaryIO, size: int) -> None:
        """Write an object and tell `health` how it went; raises StorageFull, StorageFailed or StorageUnavailable."""
        try:
            if isinstance(content, memoryview):
                self.bucket.put(key, content)
            else:
                with self._streams:
                    self.bucket.put_parts(key, content)
        except ClusterError as error:
            self.health.failed(str(error), size)
            raise
        self._stored_at = time.monotonic()


class IncomingS3Object(Spool):
    """An attachment that is being received."""

    def __init__(
        self, area: S3StorageArea, uuid: str, kind: int, memory: MemoryBudget, streaming_threshold: int
    ) -> None:
        super().__init__(uuid, area.names, memory, streaming_threshold)
        self._area = area
        self._key = area.keys.of(uuid, kind)
        self._may_be_there = False

    def finish(self) -> None:
        """Upload it in parts, if it is not in memory; raises StorageFull, StorageFailed or StorageUnavailable."""
        if not self.is_in_memory:
            self.upload()
            failpoint("bytes_streamed")

    def upload(self) -> None:
        """Write the object, and let go of the bytes."""
        self._may_be_there = True
        self._area.store(self._key, self.content() if self.is_in_memory else self.stream(), self.size)
        self.forget()

    def discard(self) -> None:
        """Forget the bytes, and delete the object if there may be one."""
        self.forget()
        self._discarded(is_gone=not self._may_be_there or bool(self._area.remove_all([self.uuid])))


class _ObjectReader(PiecewiseReader):
    def __init__(self, bucket: Bucket, key: str, size: int, piece: bytes) -> None:
        super().__init__(size)
        self._bucket = bucket
        self._key = key
        self._piece = piece
        self._start = 0

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer)  # type: ignore[arg-type]
        if self._position >= self._size or not target:
            return 0
        if not self._start <= self._position < self._start + len(self._piece):
            self._fetch(len(target))
        begin = self._position - self._start
        data = self._piece[begin : begin + len(target)]
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _fetch(self, wanted: int) -> None:
        reads_on = self._position == self._start + len(self._piece)
        ahead = min(2 * len(self._piece), LARGEST_PIECE_BYTES) if reads_on else FIRST_PIECE_BYTES
        length = min(max(min(wanted, LARGEST_PIECE_BYTES), ahead), self._size - self._position)
        self._piece = self._bucket.read(self._key, self._position, length)
        self._start = self._position
