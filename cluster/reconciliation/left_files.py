"""Files that a killed process left without a row, settled without a look at the storage area as a whole.

Two stages, each of which may be done by any number of processes, and again by another after one is killed:

1. A process that has been silent for a while: of the files that it may have written last, which it had registered by
   number, those that are there without a row become doubtful.
2. A doubtful file whose row is certain never to come is released to `cluster.ingest.removal`.

A process that is alive and has nothing to do is silent as well, and looked at; that costs some look-ups and changes
nothing.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cluster.database import Database
from cluster.index.left_files import (
    Series,
    attachments_without_row,
    close_case,
    doubtful_files,
    end_look,
    silent_series,
)
from cluster.reconciliation.verdict import verdict
from cluster.storage.area import StorageArea
from cluster.storage.names import nth_name

_LOG = logging.getLogger(__name__)

FILES_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for whom, in seconds."""

    silence: float = 120.0
    """Of a process; several times `cluster.ingest.names.RENEWAL_SECONDS`."""
    forget: float = 3600.0
    """After that silence a series is looked at for the last time: even a machine that was frozen goes on before."""
    age: float = 60.0
    """Of a file, for which its process may just be about to write the row."""
    transactions: float = 2.0
    """For the transactions under way to end."""


PATIENCE = Patience()


def settle_left_files(
    database: Database,
    storage: StorageArea,
    stop: Callable[[], bool] = lambda: False,
    patience: Patience = PATIENCE,
) -> int:
    """One look at what processes left; returns how many files have been released for removal.

    Raises:
        Transient, DatabaseRefused: as `Database.run`.
        StorageFailed: the storage area cannot be asked.
    """
    for series in silent_series(database, patience.silence, patience.forget):
        if stop():
            return 0
        _look(database, storage, series)
    return _settle_doubtful(database, storage, patience)


def _look(database: Database, storage: StorageArea, series: Series) -> None:
    names = [nth_name(series.series, number) for number in series.numbers]
    present = [name for name in names if storage.age_of(name) is not None]
    doubtful = attachments_without_row(database, present) if present else set()
    if doubtful:
        _LOG.warning("node %s left %d files without a row", series.node, len(doubtful))
    end_look(database, series, doubtful)


def _settle_doubtful(database: Database, storage: StorageArea, patience: Patience) -> int:
    uuids = doubtful_files(database, FILES_AT_A_TIME)
    ages = {uuid: storage.age_of(uuid) for uuid in uuids}
    gone = {uuid for uuid, age in ages.items() if age is None}
    due = {uuid for uuid, age in ages.items() if age is not None and age >= patience.age}
    released = verdict(database, due, patience.transactions) if due else set()
    # Where the verdict is open, the due stay doubtful, and condemned.
    decided = gone if released is None else gone | due
    released = released or set()
    if decided:
        close_case(database, decided, released | gone)
    if released:
        _LOG.warning("%d files without a row will be removed", len(released))
    return len(released)
