"""What the sessions do: operations of the product as their doors call them."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from cluster.config import Settings
from cluster.dicom.header import read_part10
from cluster.dicom.levels import Level
from cluster.dicom.public_ids import public_ids
from cluster.errors import UnknownResource
from cluster.index.attached_files import AttachedBytes
from cluster.index.changes import changes_since
from cluster.index.deletion import delete_resource
from cluster.index.stable import log_stable_resources
from cluster.index.statistics import fold_statistics, recount_children
from cluster.ingest.commit import Staged, commit_batch
from cluster.ingest.origin import Origin
from tests.concurrency.isolation.stage import Session
from tests.support.dicom import make_file

ORIGIN = Origin("RestApi")
Work = Callable[[Session], Any]


def identifiers(instance: int, series: int = 1, study: int = 1) -> tuple[str, str, str, str]:
    """PatientID and the three UIDs."""
    return "P1", f"2.25.{study}", f"2.25.{study}.{series}", f"2.25.{study}.{series}.{instance}"


_FILES: dict[tuple[str, str, str, str], bytes] = {}


def content(names: tuple[str, str, str, str]) -> bytes:
    """The same each time: making it takes longer than storing it."""
    if names not in _FILES:
        keywords = zip(("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), names, strict=True)
        _FILES[names] = make_file(**dict(keywords))
    return _FILES[names]


def store(*instances: tuple[str, str, str, str], overwrite: str = "Never") -> Work:
    """A batch; statuses in its order."""

    def work(session: Session) -> list[str]:
        outcomes = commit_batch(
            session.database, session.storage, overwrite, [_staged(session, it) for it in instances]
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return [outcome.status for outcome in outcomes]

    return work


def _staged(session: Session, names: tuple[str, str, str, str]) -> Staged:
    data = content(names)
    attachment = session.storage.create()
    attachment.write(data)
    instance = read_part10(BytesIO(data), len(data), Settings().default_encoding)
    attachment.finish()
    return Staged(instance, attachment, AttachedBytes.plain(attachment.uuid, attachment.size, attachment.md5()), ORIGIN)


def delete(level: Level, names: tuple[str, str, str, str]) -> Work:
    """Whether there was something to delete."""
    ids = public_ids(*names)
    public_id = (ids.patient, ids.study, ids.series, ids.instance)[level]

    def work(session: Session) -> bool:
        try:
            delete_resource(session.database, level, public_id)
        except UnknownResource:
            return False
        return True

    return work


def keep_house(session: Session) -> None:
    """One pass."""
    fold_statistics(session.database)
    recount_children(session.database)
    log_stable_resources(session.database, 0)


def follow(session: Session) -> None:
    """One look of a reader of the change feed, who goes on where it ended."""
    seen = session.notes
    page = changes_since(session.database, seen[-1] if seen else 0, 100)
    seen += [change.seq for change in page.changes]
    if page.changes == () and page.last > (seen[-1] if seen else 0):
        seen.append(page.last)
