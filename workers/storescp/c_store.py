"""One C-STORE request: data set fragments from the wire into the intake, the outcome into a DIMSE status."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from cluster.dicom.part10 import file_meta_information
from cluster.errors import BadDicom, ClusterError, NodeBusy, StorageFull
from cluster.ingest.acknowledge import dimse_status
from cluster.ingest.origin import Origin
from workers.upper_layer.command_set import CommandSet
from workers.upper_layer.failures import AssociationEnded

log = logging.getLogger(__name__)


class Reception(Protocol):
    """One instance on its way in: bytes, then the commit; leaving without commit discards everything."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take the next bytes; a memoryview is valid during the call only."""

    def commit(self) -> object:
        """Return once the instance is stored; raises ClusterError."""


class Intake(Protocol):
    """Where instances go (cluster/ingest)."""

    def receive(
        self, origin: Origin, *, sop_class_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> AbstractContextManager[Reception]:
        """Begin to receive one instance; raises NodeBusy."""


def store(
    intake: Intake, origin: Origin, request: CommandSet, transfer_syntax: str, fragments: Iterator[memoryview]
) -> tuple[int, str]:
    """Store the data set in `fragments` and return status and error comment of the response.

    `fragments` is read to its end whatever happens, so that the association stays usable. Raises AssociationEnded if
    the peer goes away meanwhile; nothing stays of the instance then.
    """
    error = _receive(intake, origin, request, transfer_syntax, fragments)
    if error is None:
        return dimse_status(None), ""
    for _ in fragments:
        pass
    if isinstance(error, ClusterError):
        log.warning(
            "instance %s from %s (%s) refused: %s", request.sop_instance_uid, origin.remote_aet, origin.remote_ip, error
        )
    else:
        log.error("instance %s not stored", request.sop_instance_uid, exc_info=error)
    return dimse_status(error), comment(error)


def _receive(
    intake: Intake, origin: Origin, request: CommandSet, transfer_syntax: str, fragments: Iterator[memoryview]
) -> Exception | None:
    try:
        header = file_meta_information(request.sop_class_uid, request.sop_instance_uid, transfer_syntax)
        with intake.receive(
            origin, sop_class_uid=request.sop_class_uid, sop_instance_uid=request.sop_instance_uid
        ) as reception:
            reception.write(header)
            for fragment in fragments:
                reception.write(fragment)
            reception.commit()
    except AssociationEnded:
        raise
    except Exception as error:  # whatever it is, the peer gets an answer and the association goes on
        return error
    return None


def comment(error: Exception) -> str:
    """Return what the peer may know about `error`: its own mistakes in full, of ours only the kind.

    Texts of database and storage errors can hold host names and paths.
    """
    if isinstance(error, BadDicom):
        return str(error)
    if isinstance(error, NodeBusy):
        return "node is busy, try again"
    if isinstance(error, StorageFull):
        return "storage area is full"
    return "not stored, see the log of the node"
