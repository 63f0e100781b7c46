"""Settles what a comparison of rows and files has found, as far as that cannot lose anything that a row names.

A repair has a limit: with the wrong storage directory, or the wrong database, everything looks left behind or lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.database import Database
from cluster.index.removals import settle_removals
from cluster.index.stored_files import delete_lost, named_files
from cluster.reconciliation.findings import Finding, Kind
from cluster.reconciliation.verdict import verdict
from cluster.storage.filesystem import FilesystemStorageArea
from cluster.storage.inventory import set_aside


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair may do."""

    quarantine: Path | None
    """Where files without a row are moved; None deletes them."""
    delete_rows: bool
    """Whether rows without a file go as well."""
    at_most: int
    """Files and rows that one run may take away."""
    patience_seconds: float = 60.0
    """For the transactions under way to end, for each range."""


class Repair:
    """Of one run; sets `Finding.settled` of what it settled."""

    def __init__(self, database: Database, area: FilesystemStorageArea, plan: Plan) -> None:
        self._database = database
        self._area = area
        self._plan = plan
        self.left = plan.at_most
        self.is_limited = False
        """Whether there was more to be done than `Plan.at_most`."""

    def settle(self, findings: Sequence[Finding]) -> None:
        """Settle what can be.

        Raises:
            Transient, DatabaseRefused, StorageFailed: what was settled before stays so.
        """
        files = [it for it in findings if it.kind is Kind.FILE_WITHOUT_ROW]
        rows = [it for it in findings if it.kind is Kind.ROW_WITHOUT_FILE and self._plan.delete_rows]
        if len(files) + len(rows) > self.left:
            self.is_limited = True
            return
        if files:
            self._remove({it.uuid: it for it in files if it.uuid is not None})
        for finding in rows:
            self._delete(finding)

    def _remove(self, findings: dict[str, Finding]) -> None:
        final = verdict(self._database, findings.keys(), self._plan.patience_seconds)
        if final is None:
            return  # they stay condemned, and the next repair goes on
        for uuid in sorted(final):
            if self._plan.quarantine is None:
                self._area.remove(uuid)
            else:
                set_aside(self._area, uuid, self._plan.quarantine)
            settle_removals(self._database, [uuid])
            findings[uuid].settled = "deleted" if self._plan.quarantine is None else "quarantined"
            self.left -= 1

    def _delete(self, finding: Finding) -> None:
        named = named_files(self._database, [finding.uuid] if finding.uuid else []).values()
        for row in named:
            if delete_lost(self._database, row):
                finding.settled = "row deleted"
                self.left -= 1
