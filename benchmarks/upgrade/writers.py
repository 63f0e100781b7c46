"""Writers that do not notice which revision the index has: each stores one instance after the other, as Orthanc does.

What they call and insert exists at every revision. A transaction that fails because the schema changed under it, or
because another one was in the way, is rolled back and run again, as Orthanc would.
"""

import multiprocessing
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

import psycopg

from benchmarks.archive_shape import UNIQUE, descriptions
from cluster.database.queries import queries
from cluster.dicom.public_ids import PublicIds, public_ids

APPLICATION_NAME = "benchmark writer"
ATTEMPTS = 50

_SQL = queries("benchmarks", "writers.sql")
_CHANGE_TYPES = (3, 5, 4, 2)
_RESULT_SECONDS = 120
_LAST_UPDATE = 7

_stopped: Event


@dataclass(frozen=True, slots=True)
class Stored:
    """One acknowledged instance.

    Attributes:
        began: of the attempt that took longest, seconds since the epoch.
        seconds: how long that one took.
    """

    public_id: str
    began: float
    seconds: float
    attempts: int


@dataclass(slots=True)
class Work:
    """What writers did.

    Attributes:
        replays: reasons why transactions were run again, by SQLSTATE.
    """

    stored: list[Stored] = field(default_factory=list)
    replays: Counter[str] = field(default_factory=Counter)


@contextmanager
def writing(uri: str, writers: int, rate: float, seed: int) -> Iterator[Work]:
    """Write while the block runs; the result is filled in at its end.

    Args:
        rate: instances a second of all writers together; 0 for as many as there can be.
    """
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    work = Work()
    with ProcessPoolExecutor(writers, context, initializer=_remember, initargs=(stopped,)) as pool:
        futures = [pool.submit(_write, uri, writer, writers, rate / writers, seed) for writer in range(writers)]
        try:
            _wait_for_all(uri, futures)
            yield work
        finally:
            stopped.set()
            for future in futures:
                done = future.result(_RESULT_SECONDS)
                work.stored += done.stored
                work.replays += done.replays


def rows_of_instance() -> dict[str, int]:
    """How many rows of each kind an instance has afterwards."""
    subjects = Counter(subject for subject, level, *_ in descriptions() if level == 3)
    return {"tags": subjects["tag"], "identifiers": subjects["identifier"], "metadata": subjects["metadata"]}


def _wait_for_all(uri: str, futures: Sequence[Future[Work]]) -> None:
    """All writers are connected: one that is not there yet cannot be kept waiting."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connected = 0
        while connected < len(futures):
            for future in futures:
                if future.done():
                    future.result()  # nobody stopped it, so this raises
            time.sleep(0.05)
            [connected] = connection.execute(_SQL["connected"], {"pattern": f"{APPLICATION_NAME}%"}).fetchone()


def _remember(stopped: Event) -> None:
    global _stopped
    _stopped = stopped


def _write(uri: str, writer: int, writers: int, rate: float, seed: int) -> Work:
    """One writer process, until it is stopped."""
    work = Work()
    pace = random.Random(seed * 1000 + writer)
    with psycopg.connect(uri, application_name=f"{APPLICATION_NAME} {writer}") as connection:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        for ids in _plan(connection, writer, writers, seed):
            if _stopped.wait(pace.expovariate(rate) if rate else 0):
                return work
            _store_surely(connection, ids, work)
    return work


def _plan(connection: psycopg.Connection, writer: int, writers: int, seed: int) -> Iterator[PublicIds]:
    """Instances without end: each second one goes to a series of the archive, the others to new studies.

    Writers do not share patients: at revision 1 nothing but SERIALIZABLE keeps two of them from creating the same one.
    """
    known = connection.execute(_SQL["series"], {"writers": writers, "writer": writer}).fetchall()
    connection.commit()
    number = 0
    while True:
        patient, study, series = number // 200, number // 100, number // 25
        new = public_ids(f"W{seed}.{writer}.{patient}", str(study), str(series), str(number))
        yield new
        if known:
            above = known[number % len(known)]
            yield PublicIds(*above, public_ids(f"W{seed}.{writer}", "known", "known", str(number)).instance)
        number += 1


def _store_surely(connection: psycopg.Connection, ids: PublicIds, work: Work) -> None:
    """Store an instance, in as many attempts as it takes."""
    longest = (0.0, 0.0)
    for attempt in range(1, ATTEMPTS + 1):
        began = time.time()
        error = None
        try:
            with connection.transaction():
                _store(connection, ids)
        except psycopg.Error as caught:
            if connection.broken:
                raise  # nobody was to cut it, and whether it committed is unknown
            error = caught
        longest = max(longest, (time.time() - began, began))
        if error is None:
            work.stored.append(Stored(ids.instance, longest[1], longest[0], attempt))
            return
        work.replays[f"{error.sqlstate} {type(error).__name__}"] += 1
        time.sleep(min(0.5, 0.02 * attempt))
    raise RuntimeError(f"an instance could not be stored in {ATTEMPTS} attempts: {dict(work.replays)}")


def _store(connection: psycopg.Connection, ids: PublicIds) -> None:
    """One transaction of Orthanc's: rows of the new levels, attachment, metadata, changes last."""
    names = {"patient": ids.patient, "study": ids.study, "series": ids.series, "instance": ids.instance}
    row = connection.execute(_SQL["create_instance"], names).fetchone()
    assert row is not None
    assert row[3] == 1, "the instance was there already"
    new = [(level, row[4 + level]) for level in range(4) if row[level] == 1]
    for level, internal_id in new:
        _describe(connection, level, internal_id, list(names.values())[level])
    file = uuid.uuid5(uuid.NAMESPACE_OID, ids.instance)
    connection.execute(_SQL["attach"], {"id": row[7], "uuid": str(file), "size": 524288, "hash": file.hex})
    rows = [(row[4 + level], _LAST_UPDATE, time.strftime("%Y%m%dT%H%M%S", time.gmtime())) for level in range(3)]
    for level, internal_id in new:
        rows += [(internal_id, kind, value) for kind, value in _metadata(level, internal_id) if kind != _LAST_UPDATE]
    ids_, types, values = map(list, zip(*rows, strict=True))
    connection.execute(_SQL["metadata"], {"ids": ids_, "types": types, "values": values})
    for level, internal_id in reversed(new):
        values_of_change = {"change_type": _CHANGE_TYPES[level], "id": internal_id, "level": level}
        connection.execute(_SQL["change"], {**values_of_change, "date": "20241101T120000"})


def _describe(connection: psycopg.Connection, level: int, internal_id: int, public_id: str) -> None:
    for subject, forget, insert in (
        ("tag", "forget_tags", "tags"),
        ("identifier", "forget_identifiers", "identifiers"),
    ):
        rows = [
            (group, element, public_id if spread == UNIQUE else f"{prefix}{first or ''}")
            for kind, of_level, group, element, prefix, first, spread in descriptions()
            if (kind, of_level) == (subject, level)
        ]
        groups, elements, values = map(list, zip(*rows, strict=True))
        connection.execute(_SQL[forget], {"id": internal_id})
        row = {"id": internal_id, "groups": groups, "elements": elements, "values": values}
        connection.execute(_SQL[insert], row)


def _metadata(level: int, internal_id: int) -> list[tuple[int, str]]:
    return [
        (kind, f"{prefix}{'' if first is None else first + internal_id % spread}")
        for subject, of_level, _, kind, prefix, first, spread in descriptions()
        if (subject, of_level) == ("metadata", level)
    ]
