"""Compares the ledger with an archive over Orthanc's REST API alone: for archives whose database is not ours to read.

Every acknowledged instance is fetched and compared; every patient, study and series of them is searched for by its
DICOM identifier and must be found once, under the public id that follows from it (interop/identifiers.md).
"""

import hashlib
import http.client
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self
from urllib.parse import urlsplit

from cluster.dicom.levels import Level
from cluster.errors import ClusterError, NodeBusy
from cluster.index.check import expected_resources
from workers.load.check import Expected, Findings
from workers.load.delivery import Acknowledged
from workers.load.stored_file import data_set_offset
from workers.load.targets import Target
from workers.load.transports import Credentials, connection_to

_READERS = 8
_ANSWER_SECONDS = 60.0
_TRIES = 3
_TAGS = {Level.PATIENT: "PatientID", Level.STUDY: "StudyInstanceUID", Level.SERIES: "SeriesInstanceUID"}


class HttpArchive:
    """The archive behind an address; may be used by many threads, each of which has a connection of its own."""

    def __init__(self, target: Target, credentials: Credentials | None = None) -> None:
        self._target = target
        self._headers = {"Authorization": credentials.header()} if credentials else {}
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; raises NodeBusy if there is no answer after a few tries."""
        return self._ask("GET", path, None)

    def find(self, level: Level, value: str) -> list[str]:
        """Public ids of the resources of a level with this identifier."""
        query = {"Level": level.name.title(), "Query": {_TAGS[level]: value}, "CaseSensitive": True}
        status, body = self._ask("POST", "/tools/find", json.dumps(query).encode())
        if status != 200:
            raise ClusterError(f"{self._target}/tools/find answers {status}")
        found: list[str] = json.loads(body)
        return found

    def delete(self, public_id: str) -> None:
        """Delete an instance; one that is gone after a lost answer was deleted. Raises ClusterError."""
        status, _ = self._ask("DELETE", f"/instances/{public_id}", None)
        if status not in (200, 404):
            raise ClusterError(f"{self._target} answers a deletion with {status}")

    def system(self) -> dict[str, Any]:
        """What the archive says of itself (`GET /system`)."""
        status, body = self.get("/system")
        if status != 200:
            raise ClusterError(f"{self._target}/system answers {status}")
        said: dict[str, Any] = json.loads(body)
        return said

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        prefix = urlsplit(self._target.url).path
        reason: Exception | None = None
        for _ in range(_TRIES):
            connection = self._own_connection()
            try:
                connection.request(method, prefix + path, body, self._headers)
                response = connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                # The next request opens it again.
                connection.close()
                reason = error
        raise NodeBusy(f"{self._target} does not answer: {reason}")

    def _own_connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connection_to(self._target, _ANSWER_SECONDS)
            self._connections.append(connection)
        return connection


def check_over_http(expected: Expected, archive: HttpArchive) -> Findings:
    """Check everything that was acknowledged.

    Raises:
        NodeBusy: no answer.
        ClusterError: an answer that no archive gives.
    """
    findings = Findings()
    known: set[str] = set()
    with ThreadPoolExecutor(_READERS, thread_name_prefix="check") as readers:
        for batch in expected.acknowledged():
            faults = readers.map(lambda instance: _fault(archive, instance), batch)
            for instance, fault in zip(batch, faults, strict=True):
                if fault:
                    (findings.missing if fault == "absent" else findings.wrong_bytes).add(instance.public_id)
                    findings.example(instance.public_id, fault)
            ancestors = list(_ancestors(batch, known))
            for (_, public_id, _), found in zip(
                ancestors, readers.map(lambda each: _found(archive, *each), ancestors), strict=True
            ):
                findings.expect_one(public_id, found.count(public_id), "resource with its identifier")
                if set(found) - {public_id}:
                    findings.duplicated.add(public_id)
                    findings.example(public_id, f"also found as {', '.join(sorted(set(found) - {public_id}))}")
    return findings


def check_deleted_over_http(
    findings: Findings, deleted: Iterable[Sequence[Acknowledged]], archive: HttpArchive
) -> None:
    """Check that none of these is there; raises as `check_over_http`."""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="check") as readers:
        for batch in deleted:
            statuses = readers.map(lambda instance: archive.get(f"/instances/{instance.public_id}")[0], batch)
            for instance, status in zip(batch, statuses, strict=True):
                if status != 404:
                    findings.not_deleted.add(instance.public_id)
                    findings.example(instance.public_id, f"was deleted with success, and is answered with {status}")


def _fault(archive: HttpArchive, instance: Acknowledged) -> str:
    status, file = archive.get(f"/instances/{instance.public_id}/file")
    if status == 404:
        return "absent"
    if status != 200:
        return f"its file is answered with {status}"
    begin = data_set_offset(file)
    if begin is None:
        return "no Part 10 header"
    if not instance.is_content(hashlib.md5(memoryview(file)[begin:], usedforsecurity=False).hexdigest()):
        return "another data set than the one sent"
    return ""


def _found(archive: HttpArchive, level: Level, public_id: str, identifier: str) -> list[str]:
    """Public ids of what has this identifier."""
    if identifier:
        return archive.find(level, identifier)
    # A search for nothing finds everybody; all patients without an id are one, so it is enough that this one is there.
    return [public_id] if archive.get(f"/patients/{public_id}")[0] == 200 else []


def _ancestors(batch: Sequence[Acknowledged], known: set[str]) -> Iterator[tuple[Level, str, str]]:
    """Level, public id and identifier of what is above these instances and was not looked for yet."""
    for instance in batch:
        uids = (
            instance.patient_id,
            instance.study_instance_uid,
            instance.series_instance_uid,
            instance.sop_instance_uid,
        )
        for resource in _above(expected_resources(*uids)):
            if resource.public_id not in known:
                known.add(resource.public_id)
                yield resource.level, resource.public_id, resource.identifier


def _above(resources: Iterable[Any]) -> Iterator[Any]:
    return (resource for resource in resources if resource.level is not Level.INSTANCE)
