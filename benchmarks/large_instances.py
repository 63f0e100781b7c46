"""Senders of very large instances, which exist nowhere as a whole: a header, then zeros that take no memory."""

import http.client
import mmap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from struct import pack
from urllib.parse import urlsplit

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from cluster.dicom.part10 import file_meta_information
from workers.storescu import Association

_SOP_CLASS, _SYNTAX = str(CTImageStorage), str(ExplicitVRLittleEndian)
_PIECE_BYTES = 1 << 20
_PATIENCE_SECONDS = 900.0


class NotStored(Exception):
    """An instance was refused; the message is the answer."""


def by_c_store(target: str, instances: int, size: int) -> None:
    """Send that many instances of `size` bytes to ``host:port``, all at the same time. Raises NotStored."""
    host, _, port = target.rpartition(":")

    def store(uid: str, data_set: memoryview) -> None:
        with Association.request(
            host,
            int(port),
            called_aet="ORTHANC",
            calling_aet="LARGE",
            contexts=[(_SOP_CLASS, [_SYNTAX])],
            timeout_seconds=_PATIENCE_SECONDS,
        ) as association:
            status = association.store(_SOP_CLASS, uid, _SYNTAX, data_set)
        if status != 0:
            raise NotStored(f"C-STORE: 0x{status:04X}")

    _together(instances, size, store)


def by_http(url: str, instances: int, size: int) -> None:
    """The same by POST /instances to ``http://host:port``. Raises NotStored."""

    def store(uid: str, data_set: memoryview) -> None:
        meta = file_meta_information(_SOP_CLASS, uid, _SYNTAX)
        address = urlsplit(url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE_SECONDS)
        length = {"Content-Length": str(len(meta) + len(data_set))}
        connection.request("POST", "/instances", _pieces(meta, data_set), length)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise NotStored(f"POST: {answer.status} {text[:200]!r}")

    _together(instances, size, store)


def _pieces(meta: bytes, data_set: memoryview) -> Iterator[bytes | memoryview]:
    yield meta
    for start in range(0, len(data_set), _PIECE_BYTES):
        yield data_set[start : start + _PIECE_BYTES]


def _together(instances: int, size: int, store: Callable[[str, memoryview], None]) -> None:
    """Call `store` in that many threads, which begin together; what sends lets go of the interpreter's lock."""
    ready = threading.Barrier(instances)

    def one() -> None:
        uid = generate_uid()
        # Pages that are only read are all the kernel's one page of zeros.
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            header = _header(uid, size)
            memory[: len(header)] = header
            with memoryview(memory) as data_set:
                ready.wait()
                store(uid, data_set)

    with ThreadPoolExecutor(instances) as threads:
        for done in [threads.submit(one) for _ in range(instances)]:
            done.result()


def _header(uid: str, size: int) -> bytes:
    """What comes before the pixels of a data set of `size` bytes; a patient, study and series of its own."""
    data_set = Dataset()
    data_set.SOPClassUID = _SOP_CLASS
    data_set.SOPInstanceUID = uid
    data_set.Modality = "CT"
    data_set.PatientID = uid[-20:]
    data_set.PatientName = "Large^Instance"
    data_set.StudyInstanceUID = generate_uid()
    data_set.SeriesInstanceUID = generate_uid()
    data_set.NumberOfFrames = size >> 19
    data_set.BitsAllocated = 16
    target = DicomBytesIO()
    target.is_little_endian = True
    target.is_implicit_VR = False
    write_dataset(target, data_set)
    header: bytes = target.getvalue()
    # PixelData of explicit length to the end (PS3.5 section 7.1.2).
    return header + pack("<HH2sxxI", 0x7FE0, 0x0010, b"OW", size - len(header) - 12)
