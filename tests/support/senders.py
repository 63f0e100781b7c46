"""Senders over HTTP and DICOM that go on until they are told to stop, and know what was acknowledged."""

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Self

import httpx
import pydicom
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.support.dicom import data_set, make_file
from workers.local.children import wait_until
from workers.storescu import Association, AssociationEnded

_PATIENCE_SECONDS = 60


@dataclass
class _Sender:
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0


class Senders:
    """`number` of them, each with series of its own, at the nodes in turn. Context manager: stopped at the end.

    `doors` are URLs for POST /instances, or HOST:PORT for C-STORE on an association that is kept.
    """

    def __init__(self, doors: Sequence[str], number: int = 8) -> None:
        self._doors = doors
        self._senders = [_Sender() for _ in range(number)]
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, sender), name=f"sender-{number}")
            for number, sender in enumerate(self._senders)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def acknowledged(self) -> set[str]:
        """SOP instance UIDs."""
        return {uid for sender in self._senders for uid in sender.acknowledged}

    @property
    def refused(self) -> list[str]:
        """What was answered instead of a success."""
        return [answer for sender in self._senders for answer in sender.refused]

    @property
    def longest_seconds(self) -> float:
        """Between a request and its answer."""
        return max(sender.longest_seconds for sender in self._senders)

    def go_on(self, each: int = 3, seconds: float = 60) -> bool:
        """Wait until each of them has had so many more acknowledgements."""
        before = [len(sender.acknowledged) for sender in self._senders]
        return wait_until(
            lambda: all(
                len(sender.acknowledged) >= count + each for sender, count in zip(self._senders, before, strict=True)
            ),
            seconds,
        )

    def _run(self, number: int, sender: _Sender) -> None:
        door = self._doors[number % len(self._doors)]
        with _OverHttp(door) if "://" in door else _OverDicom(door) as client:
            while not self._ended.is_set():
                uid = f"2.25.{uuid.uuid4().int}"
                identifiers = {"SOPInstanceUID": uid, "StudyInstanceUID": f"2.25.{number // 2 + 1}"}
                file = make_file(**identifiers, SeriesInstanceUID=f"2.25.{number}.1")
                started = time.monotonic()
                outcome = client.send(file)
                sender.longest_seconds = max(sender.longest_seconds, time.monotonic() - started)
                if outcome:
                    sender.refused.append(outcome)
                else:
                    sender.acknowledged.append(uid)


class _OverHttp:
    def __init__(self, url: str) -> None:
        self._url = f"{url}/instances"
        self._client = httpx.Client(timeout=_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, file: bytes) -> str:
        """What was answered instead of a success."""
        try:
            answer = self._client.post(self._url, content=file)
        except httpx.TransportError as error:
            return repr(error)
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"


class _OverDicom:
    """Our SCU, as pynetdicom's may lose the response of a request that follows the one before at once.

    Its reactor, resumed by the end of a request, can take the next response for a request of the peer.
    """

    def __init__(self, door: str) -> None:
        host, _, port = door.partition(":")
        self._address = (host, int(port))
        self._association: Association | None = None

    def __enter__(self) -> Self:
        self._associate()
        return self

    def __exit__(self, *_: object) -> None:
        if self._association is not None:
            self._association.release()

    def _associate(self) -> Association:
        if self._association is None:
            self._association = Association.request(
                *self._address,
                called_aet="ORTHANC",
                calling_aet="SENDER",
                contexts=[(CTImageStorage, [ExplicitVRLittleEndian])],
                timeout_seconds=_PATIENCE_SECONDS,
            )
        return self._association

    def send(self, file: bytes) -> str:
        """What was answered instead of a success."""
        uid = pydicom.dcmread(BytesIO(file), specific_tags=["SOPInstanceUID"]).SOPInstanceUID
        try:
            association = self._associate()
            status = association.store(CTImageStorage, uid, ExplicitVRLittleEndian, data_set(file))
        except AssociationEnded as error:
            self._association = None
            return repr(error)
        return "" if status == 0 else f"{status:#06x}"
