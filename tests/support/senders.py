"""Senders that go on until they are told to stop, and know what was acknowledged."""

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import httpx

from tests.support.dicom import make_file
from workers.local.children import wait_until


@dataclass
class _Sender:
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0


class Senders:
    """`number` of them, each with series of its own, at the nodes in turn. Context manager: stopped at the end."""

    def __init__(self, urls: Sequence[str], number: int = 8) -> None:
        self._urls = urls
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
        with httpx.Client(timeout=60) as client:
            while not self._ended.is_set():
                uid = f"2.25.{uuid.uuid4().int}"
                identifiers = {"SOPInstanceUID": uid, "StudyInstanceUID": f"2.25.{number // 2 + 1}"}
                file = make_file(**identifiers, SeriesInstanceUID=f"2.25.{number}.1")
                started = time.monotonic()
                try:
                    answer = client.post(f"{self._urls[number % len(self._urls)]}/instances", content=file)
                    outcome = "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"
                except httpx.TransportError as error:
                    outcome = repr(error)
                sender.longest_seconds = max(sender.longest_seconds, time.monotonic() - started)
                if outcome:
                    sender.refused.append(outcome)
                else:
                    sender.acknowledged.append(uid)
