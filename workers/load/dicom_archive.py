"""An archive that is known by its DICOM door only: C-FIND and C-GET (PS3.4 annex C, study root).

pynetdicom is the service class user, as it shares nothing with the nodes' own upper layer. Only bytes are compared:
what C-GET brings is hashed as it comes and never decoded.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from cluster.dicom.levels import Level
from cluster.errors import ClusterError, NodeBusy
from workers.client_tls import ClientTls
from workers.load.targets import Target

FIND = str(StudyRootQueryRetrieveInformationModelFind)
GET = str(StudyRootQueryRetrieveInformationModelGet)
_UIDS = {Level.STUDY: "StudyInstanceUID", Level.SERIES: "SeriesInstanceUID", Level.INSTANCE: "SOPInstanceUID"}
_LEVELS = {Level.STUDY: "STUDY", Level.SERIES: "SERIES", Level.INSTANCE: "IMAGE"}
_PENDING = (0xFF00, 0xFF01)
_ANSWER_SECONDS = 120.0
_MOST_KINDS = 120
"""Of presentation contexts there can be 128, and C-GET takes one."""


class DicomArchive:
    """The archive behind a DICOM door; may be used by many threads, each of which has associations of its own."""

    def __init__(self, target: Target, called_aet: str, calling_aet: str, tls: ClientTls | None = None) -> None:
        self._target = target
        self._called_aet = called_aet
        self._calling_aet = calling_aet
        self._tls = tls
        self._local = threading.local()
        self._open: list[Association] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for association in self._open:
            if association.is_established:
                association.release()

    def look(self) -> tuple[bool, bool]:
        """Whether C-FIND and C-GET are answered; raises NodeBusy if there is no association."""
        association = self._associate([(FIND, None), (GET, None)])
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        association.release()
        return FIND in accepted, GET in accepted

    def find(self, level: Level, value: str) -> list[str]:
        """The UIDs found at a level for this UID of it, as often as they are found. Raises ClusterError."""
        keyword = _UIDS[level]
        return [str(match.get(keyword, "")) for match in self.query(level, {keyword: value})]

    def query(self, level: Level, keys: Mapping[str, str]) -> list[Dataset]:
        """C-FIND with these keys; an empty value asks for the attribute. Raises NodeBusy and ClusterError."""
        association = getattr(self._local, "finding", None)
        if association is None or not association.is_established:
            association = self._local.finding = self._associate([(FIND, None)])
        return list(_answers(association.send_c_find(_identifier(level, keys), FIND), f"{self._target}: C-FIND"))

    def fetch(self, study: str, series: str, kinds: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
        """C-GET of a series: by SOP Instance UID, the transfer syntax and MD5 of each data set that comes.

        `kinds` are the SOP classes and transfer syntaxes in it. Raises NodeBusy and ClusterError.
        """
        if len(kinds) > _MOST_KINDS:
            raise ClusterError(f"series {series} holds {len(kinds)} kinds of instances, more than an association takes")
        fetched: dict[str, list[tuple[str, str]]] = {}
        if getattr(self._local, "kinds", None) != kinds or not self._local.getting.is_established:
            self._leave_getting()
            self._local.getting = self._associate([(GET, None), *kinds])
            self._local.kinds = kinds
        association: Association = self._local.getting
        association.bind(evt.EVT_C_STORE, _note, [fetched])
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        what = f"{self._target}: C-GET"
        for _ in _answers(association.send_c_get(_identifier(Level.SERIES, keys), GET), what):
            pass
        return fetched

    def _leave_getting(self) -> None:
        association = getattr(self._local, "getting", None)
        if association is not None and association.is_established:
            association.release()

    def _associate(self, contexts: Sequence[tuple[str, str | None]]) -> Association:
        entity = AE(ae_title=self._calling_aet)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _ANSWER_SECONDS
        roles = []
        for abstract_syntax, transfer_syntax in contexts:
            entity.add_requested_context(
                abstract_syntax, transfer_syntax or ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
            )
            if transfer_syntax is not None:
                roles.append(build_role(abstract_syntax, scp_role=True))
        association = entity.associate(
            self._target.host,
            self._target.port,
            ae_title=self._called_aet,
            max_pdu=0,
            ext_neg=list({role.sop_class_uid: role for role in roles}.values()),
            tls_args=(self._tls.context(), self._target.host) if self._tls is not None else None,
        )
        if not association.is_established:
            raise NodeBusy(f"{self._target} takes no association for queries from {self._calling_aet}")
        self._open.append(association)
        return association


def _note(event: Any, fetched: dict[str, list[tuple[str, str]]]) -> int:
    """Take in what C-GET brings."""
    request = event.request
    digest = hashlib.md5(request.DataSet.getbuffer(), usedforsecurity=False).hexdigest()
    fetched.setdefault(str(request.AffectedSOPInstanceUID), []).append((str(event.context.transfer_syntax), digest))
    return 0x0000


def _identifier(level: Level, keys: Mapping[str, str]) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = _LEVELS[level]
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _answers(answers: Iterator[tuple[Dataset, Dataset | None]], what: str) -> Iterator[Dataset]:
    """The matches, one by one; raises NodeBusy if the last answer is missing, ClusterError if it is no success."""
    for status, match in answers:
        if "Status" not in status:
            raise NodeBusy(f"{what}: no answer")
        if status.Status not in (0x0000, *_PENDING):
            raise ClusterError(
                f"{what} is answered with 0x{status.Status:04X} {status.get('ErrorComment', '')}".rstrip()
            )
        if match is not None:
            yield match
