"""The storage area in PostgreSQL: large objects in Orthanc's own table StorageArea (option EnableStorage).

Invariants:

* What came in memory is written by the transaction of its rows: neither is ever there without the other.
* What is larger is streamed by a transaction of its own, and noted until that of its rows claims it; what a killed
  process had streamed is found like a file without a row (`cluster.reconciliation`).
* Reading holds neither a connection nor more than one piece: each piece is a transaction of its own, which is right
  because an object never changes.
"""

import io
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import psycopg

from cluster.database import Accompanying, Database, Row, Statement, queries
from cluster.database.arrays import integers, texts
from cluster.errors import ClusterError, StorageFailed, UnknownResource
from cluster.failpoints import failpoint
from cluster.storage.area import DICOM, IncomingAttachment
from cluster.storage.health import Health
from cluster.storage.memory_budget import MemoryBudget
from cluster.storage.names import Names
from cluster.storage.piecewise import PiecewiseReader
from cluster.storage.spool import Spool

_LOG = logging.getLogger(__name__)
_SQL = queries("cluster.storage", "large_objects.sql")

PIECE_BYTES = 256 * 1024
"""What is read at a time; 128 pages of pg_largeobject."""

STREAMED_PIECE_BYTES = 1 << 20

STATEMENT_BYTES = 1 << 20
"""Content that one statement of a batch carries: libpq, psycopg and the server each hold it, more than once."""

STREAMS = 2
"""Attachments that are streamed at the same time; the pool is small, and batches need it too."""


class LargeObjectStorageArea:
    """The storage area of one process; see `cluster.storage.area.StorageArea` for what the methods promise."""

    def __init__(self, database: Database, names: Names, memory: MemoryBudget, streaming_threshold: int) -> None:
        self.health = Health()
        self._database = database
        self.names = names
        self._memory = memory
        self._streaming_threshold = streaming_threshold
        self._streams = threading.BoundedSemaphore(STREAMS)

    def create(self, kind: int = DICOM) -> "IncomingObject":
        """A new attachment, in memory or in a temporary file until `finish` is called."""
        return IncomingObject(self, kind, self._memory, self._streaming_threshold)

    def make_durable(self, attachments: Sequence[IncomingAttachment]) -> None:
        """Nothing: what is streamed was committed, the others are by the transaction of their rows."""

    def accompanying(self, owned: Sequence[tuple[IncomingAttachment, str]]) -> Accompanying:
        """The objects themselves, or the claim to them; at the end, away with those whose instance was there."""
        objects = [attachment for attachment, _ in owned if isinstance(attachment, IncomingObject)]
        first = [_addition(part) for part in _parts([each for each in objects if each.is_in_memory])]
        if streamed := [each.uuid for each in objects if not each.is_in_memory]:
            first.append(Statement(_SQL["claim_streamed_objects"], {"uuids": texts(streamed)}))
        values = {"uuids": texts(each.uuid for each, _ in owned), "owners": texts(owner for _, owner in owned)}
        return Accompanying(first, [Statement(_SQL["remove_unnamed_objects"], values)])

    def open(self, uuid: str) -> BinaryIO:
        """The object, read in pieces; raises UnknownResource, or what the database meets."""
        size = self._value("size_of_object", {"uuid": uuid})
        if size is None:
            raise UnknownResource(f"attachment {uuid} is not in the storage area")
        assert isinstance(size, int)
        return io.BufferedReader(_ObjectReader(self, uuid, size), PIECE_BYTES)

    def remove(self, uuid: str) -> None:
        """Unlink the object and delete its row; raises what the database meets."""
        self._remove([uuid])

    def remove_all(self, uuids: Sequence[str]) -> list[str]:
        """All of them or none, in one transaction."""
        try:
            self._remove(uuids)
        except ClusterError as error:
            _LOG.warning("large objects of deleted attachments will be removed later: %s", error)
            return []
        return list(uuids)

    def probe(self) -> None:
        """Nothing: whether the database takes anything is watched by who needs it anyway."""

    def age_of(self, uuid: str) -> float | None:
        """Seconds since the object was streamed, infinite once its rows came; None if there is none."""
        age = self._value("age_of_object", {"uuid": uuid})
        assert age is None or isinstance(age, float)
        return age

    def read(self, uuid: str, start: int, wanted: int) -> bytes:
        """A range of an object; raises StorageFailed if it is gone."""
        data = self._value("read_object", {"uuid": uuid, "start": start, "wanted": wanted})
        if data is None:
            raise StorageFailed(f"attachment {uuid} was removed while it was read")
        assert isinstance(data, bytes)
        return data

    def stream_in(self, attachment: "IncomingObject") -> None:
        """Write an attachment that is too large for memory; it is committed and not claimed yet afterwards."""

        def work(cursor: psycopg.Cursor[Row]) -> None:
            stream = attachment.stream()
            created = cursor.execute(_SQL["begin_object"]).fetchone()
            assert created is not None
            while data := stream.read(STREAMED_PIECE_BYTES):
                cursor.execute(_SQL["write_object"], {"descriptor": created[1], "data": data})
            values = {"uuid": attachment.uuid, "type": attachment.kind, "object": created[0]}
            cursor.execute(_SQL["note_streamed_object"], values)

        with self._streams:
            self._database.run("stream_object", work)
        failpoint("bytes_streamed")

    def _remove(self, uuids: Sequence[str]) -> None:
        self._database.call("remove_objects", _SQL["remove_objects"], {"uuids": texts(uuids)})

    def _value(self, name: str, values: dict[str, object]) -> object:
        return self._database.call(name, _SQL[name], values)[0][0]


class IncomingObject(Spool):
    """An attachment that is being received."""

    def __init__(self, area: LargeObjectStorageArea, kind: int, memory: MemoryBudget, streaming_threshold: int) -> None:
        super().__init__(area.names.take(), area.names, memory, streaming_threshold)
        self.kind = kind
        self._area = area
        self._is_streamed = False

    def finish(self) -> None:
        """Stream it, if it is not in memory; raises what the database meets."""
        if not self.is_in_memory:
            # Should the answer to its commit get lost, there may be something to discard.
            self._is_streamed = True
            self._area.stream_in(self)
            self.forget()

    def keep(self) -> None:
        """A row names the object."""
        self.forget()
        super().keep()

    def leave(self) -> None:
        """Somebody will find out whether a row names the object."""
        self.forget()
        super().leave()

    def discard(self) -> None:
        """Forget the bytes, and remove the object if one was streamed."""
        self.forget()
        self._discarded(is_gone=not self._is_streamed or bool(self._area.remove_all([self.uuid])))


class _ObjectReader(PiecewiseReader):
    def __init__(self, area: LargeObjectStorageArea, uuid: str, size: int) -> None:
        super().__init__(size)
        self._area = area
        self._uuid = uuid

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer)  # type: ignore[arg-type]
        wanted = min(len(target), self._size - self._position, STREAMED_PIECE_BYTES)
        if wanted <= 0:
            return 0
        data = self._area.read(self._uuid, self._position, wanted)
        target[: len(data)] = data
        self._position += len(data)
        return len(data)


def _parts(objects: Sequence[IncomingObject]) -> Iterator[list[IncomingObject]]:
    """In parts of about STATEMENT_BYTES, at least one object in each."""
    part: list[IncomingObject] = []
    for each in objects:
        if part and sum(other.size for other in part) + each.size > STATEMENT_BYTES:
            yield part
            part = []
        part.append(each)
    if part:
        yield part


def _addition(part: Sequence[IncomingObject]) -> Statement:
    return Statement(
        _SQL["add_objects"],
        {
            "uuids": texts(each.uuid for each in part),
            "types": integers(each.kind for each in part),
            "contents": [each.content() for each in part],
        },
    )
