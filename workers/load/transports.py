"""One attempt to deliver an instance: by C-STORE, by Orthanc's `POST /instances`, or by STOW-RS."""

import base64
import http.client
import json
import ssl
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from cluster.dicom.part10 import file_meta_information
from workers.load.instance import Instance, Pieces, size_of
from workers.load.targets import Target
from workers.storescu import Association, AssociationEnded, NotNegotiated

NO_ASSOCIATION = "no association: "
"""How the reason begins where nothing of the instance was sent."""

_JOINED_BYTES = 4 * 1024 * 1024
_SMALLEST_WRITE, _WRITES_A_SECOND = 512, 8
"""Of a slow sender."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it."""

    stored: bool
    """Success came, or a warning, which says stored too."""
    final: bool
    """Sending the instance again is no use."""
    status: int | None
    """DIMSE or HTTP status; None if no answer came."""
    reason: str
    """In words, for the statistics of failures."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of HTTP basic authentication."""

    user: str
    password: str

    def header(self) -> str:
        """The value of Authorization."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return f"Credentials({self.user!r}, ***)"


class Transport(Protocol):
    """A way to one target, with a connection that is kept; for one thread."""

    def open(self) -> str:
        """Connect if that is to be done; the reason why not, or nothing. Not part of the latency of an instance."""

    def send(self, instance: Instance) -> Attempt:
        """Try once, after `open`."""

    def close(self) -> None:
        """End in order what is open."""


class DicomTransport:
    """C-STORE. A status is final unless it says "out of resources" (PS3.4 table B.2-1: 0xA7xx)."""

    def __init__(
        self,
        target: Target,
        calling_aet: str,
        called_aet: str,
        contexts: Sequence[tuple[str, Sequence[str]]],
        timeout_seconds: float,
        tls: ssl.SSLContext | None = None,
        bytes_per_second: float | None = None,
    ) -> None:
        self._tls = tls
        self._target = target
        self._calling_aet = calling_aet
        self._called_aet = called_aet
        self._contexts = contexts
        self._timeout_seconds = timeout_seconds
        self._bytes_per_second = bytes_per_second
        self._association: Association | None = None

    def open(self) -> str:
        if self._association is not None:
            return ""
        try:
            self._association = Association.request(
                self._target.host,
                self._target.port,
                contexts=self._contexts,
                timeout_seconds=self._timeout_seconds,
                calling_aet=self._calling_aet,
                called_aet=self._called_aet,
                tls=self._tls,
            )
        except AssociationEnded as error:
            return f"{NO_ASSOCIATION}{error}"
        return ""

    def send(self, instance: Instance) -> Attempt:
        assert self._association is not None
        try:
            status = self._association.store(
                instance.sop_class_uid,
                instance.sop_instance_uid,
                instance.transfer_syntax_uid,
                instance.pieces,
                bytes_per_second=self._bytes_per_second,
            )
        except (AssociationEnded, NotNegotiated) as error:
            self.close()
            return Attempt(False, False, None, str(error))
        stored = status == 0x0000 or status & 0xF000 == 0xB000
        return Attempt(stored, status & 0xFF00 != 0xA700, status, f"status 0x{status:04X}")

    def close(self) -> None:
        if self._association is not None:
            self._association.release()
            self._association = None


class HttpTransport:
    """`POST /instances` or STOW-RS. A 4xx is final, but for 408, 409 (STOW: conflicts) and 429; a 5xx is not."""

    def __init__(
        self,
        target: Target,
        timeout_seconds: float,
        credentials: Credentials | None = None,
        bytes_per_second: float | None = None,
    ) -> None:
        self._target = target
        self._timeout_seconds = timeout_seconds
        self._bytes_per_second = bytes_per_second
        self._headers = {"Authorization": credentials.header()} if credentials else {}
        self._connection: http.client.HTTPConnection | None = None
        self._path = urlsplit(target.url).path + ("/studies" if target.stow else "/instances")

    def open(self) -> str:
        if self._connection is not None:
            return ""
        try:
            self._connection = connection_to(self._target, self._timeout_seconds)
            self._connection.connect()
        except OSError as error:
            self._connection = None
            return f"{NO_ASSOCIATION}cannot connect to {self._target}: {error.strerror or error}"
        return ""

    def send(self, instance: Instance) -> Attempt:
        assert self._connection is not None
        body, content_type = self._body(instance)
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(size_of(body)),
            "Accept": "application/dicom+json, application/json",
        }
        try:
            self._connection.request("POST", self._path, self._paced(body), headers | self._headers)
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Attempt(False, False, None, f"{type(error).__name__}: {error}")
        if response.status == 200 and not (self._target.stow and _failed_in_stow(answer)):
            return Attempt(True, True, 200, "")
        final = 400 <= response.status < 500 and response.status not in (408, 409, 429)
        return Attempt(False, final, response.status, f"HTTP {response.status}")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _body(self, instance: Instance) -> tuple[Pieces, str]:
        file: Pieces = (_meta(instance), *instance.pieces)
        if not self._target.stow:
            return file, "application/dicom"
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        return (head, *file, f"\r\n--{boundary}--\r\n".encode()), content_type

    def _paced(self, body: Pieces) -> Iterator[bytes | memoryview]:
        """As few writes as it takes, or many small ones of a slow sender."""
        if self._bytes_per_second is None:
            # Pieces of a file are large or tiny; what is small altogether travels in one write.
            yield from (b"".join(body),) if size_of(body) <= _JOINED_BYTES else body
            return
        step = max(_SMALLEST_WRITE, int(self._bytes_per_second / _WRITES_A_SECOND))
        for piece in body:
            for start in range(0, len(piece), step):
                yield (block := piece[start : start + step])
                time.sleep(len(block) / self._bytes_per_second)


def connection_to(target: Target, timeout_seconds: float) -> http.client.HTTPConnection:
    """A connection to an HTTP door, not yet made; certificates are checked against the system's."""
    if target.url.startswith("https:"):
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(target.host, target.port, timeout=timeout_seconds, context=context)
    return http.client.HTTPConnection(target.host, target.port, timeout=timeout_seconds)


def part10(instance: Instance) -> bytes:
    """The instance as a file (PS3.10 section 7)."""
    return b"".join((_meta(instance), *instance.pieces))


def _meta(instance: Instance) -> bytes:
    return file_meta_information(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)


def _failed_in_stow(answer: bytes) -> bool:
    """Whether the Failed SOP Sequence (0008,1198) of the answer names something (PS3.18 table 10.5.3-1)."""
    try:
        return bool(json.loads(answer).get("00081198", {}).get("Value"))
    except (ValueError, AttributeError):
        return b"00081198" in answer
