"""How clients of a run talk to the cluster: C-STORE and HTTP, one answer or an outcome, never an exception."""

import hashlib
import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from workers.load.sender import presentation_contexts
from workers.load.synthetic import SyntheticInstance
from workers.prove.history import Outcome
from workers.storescu import Association, AssociationEnded, NotNegotiated

ANSWER_SECONDS = 15.0
SIZE = "tiny"


@dataclass(frozen=True, slots=True)
class Door:
    """Where one node can be reached."""

    dicom_port: int
    http_port: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an HTTP request; status 0: no answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class HttpClient:
    """A kept connection to one node after the other; for one thread."""

    def __init__(self, doors: Sequence[Door], first: int) -> None:
        self._doors = doors
        self._at = first % len(doors)
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask the present node; a request without an answer makes the next one be asked next time."""
        try:
            if self._connection is None:
                port = self._doors[self._at].http_port
                self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
            self._connection.request(method, path, body, dict(headers or {}))
            response = self._connection.getresponse()
            answer = Answer(
                response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
            )
        except (OSError, http.client.HTTPException) as error:
            self.move()
            return Answer(0, repr(error).encode(), {})
        if answer.status >= 500:
            self.move()
        return answer

    def move(self) -> None:
        """Go to the next node."""
        self.close()
        self._at = (self._at + 1) % len(self._doors)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DicomClient:
    """An association with one node after the other; for one thread."""

    def __init__(self, doors: Sequence[Door], first: int, calling_aet: str) -> None:
        self._doors = doors
        self._at = first % len(doors)
        self._calling_aet = calling_aet
        self._association: Association | None = None

    def store(self, instance: SyntheticInstance) -> tuple[Outcome, str]:
        """Send an instance once."""
        try:
            association = self._association or self._associate()
        except AssociationEnded as error:
            self._move()
            return Outcome.REFUSED, str(error)
        try:
            status = association.store(
                instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid, instance.data_set
            )
        except (AssociationEnded, NotNegotiated) as error:
            self._association = None
            self._move()
            return Outcome.UNKNOWN, str(error)
        if status == 0 or status & 0xF000 == 0xB000:
            return Outcome.DONE, ""
        # "Out of resources" may be said when nobody knows whether the commit arrived (PS3.4 table B.2-1).
        outcome = Outcome.UNKNOWN if status & 0xFF00 == 0xA700 else Outcome.UNEXPECTED
        return outcome, f"status 0x{status:04X}"

    def move(self) -> None:
        """Release what is open, and go to the next node."""
        self.close()
        self._move()

    def close(self) -> None:
        """Release what is open."""
        if self._association is not None:
            self._association.release()
            self._association = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _associate(self) -> Association:
        self._association = Association.request(
            "127.0.0.1",
            self._doors[self._at].dicom_port,
            called_aet="ORTHANC",
            calling_aet=self._calling_aet,
            contexts=presentation_contexts(SIZE),
            timeout_seconds=ANSWER_SECONDS,
        )
        return self._association

    def _move(self) -> None:
        self._at = (self._at + 1) % len(self._doors)


def md5(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
