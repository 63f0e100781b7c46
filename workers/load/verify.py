"""Compares a ledger with the archive in the way in which the archive can be asked."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from cluster.config import Settings
from cluster.database import Database
from cluster.errors import ClusterError, ConfigurationError
from cluster.index.check import inconsistencies
from cluster.storage.choice import open_storage_area
from cluster.storage.names import RandomNames
from workers.client_tls import ClientTls
from workers.load.check import Findings, check, check_deleted
from workers.load.delivery import Acknowledged
from workers.load.dicom_archive import DicomArchive
from workers.load.dicom_check import check_deleted_over_dicom, check_over_dicom
from workers.load.http_check import HttpArchive, check_deleted_over_http, check_over_http
from workers.load.ledger import Keeps, Ledger
from workers.load.targets import Target
from workers.load.transports import Credentials

_LOOK_SECONDS = 5.0
_CHECK_SECONDS = 60.0
"""How long a database that fails over may stay away without the result of a long run being lost."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where what was acknowledged has to be: index and storage area of `settings` if given, else behind `archive`."""

    settings: Settings | None
    archive: Target | None
    """A door for Orthanc's REST API, or a DICOM door for C-FIND and C-GET."""
    credentials: Credentials | None
    called_aet: str
    calling_aet: str
    tls: ClientTls | None = None
    """For a DICOM door."""
    count_orphans: bool = False

    @contextmanager
    def opened(self) -> Iterator["Verifier"]:
        """Ready to be asked."""
        with ExitStack() as stack:
            door: HttpArchive | DicomArchive | None = None
            if self.archive is not None and self.archive.url:
                door = stack.enter_context(HttpArchive(self.archive, self.credentials))
            elif self.archive is not None:
                door = stack.enter_context(DicomArchive(self.archive, self.called_aet, self.calling_aet, self.tls))
            yield Verifier(self, door)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A place that is opened. Methods raise ClusterError."""

    place: Place
    door: HttpArchive | DicomArchive | None

    def look(self) -> None:
        """See beforehand whether the archive can be asked; raises ConfigurationError too."""
        try:
            if isinstance(self.door, HttpArchive):
                self.door.system()
            elif self.door is not None and not self.door.look()[0]:
                raise ConfigurationError("--archive", f"dicom://{self.place.archive} does not answer C-FIND")
        except ConfigurationError:
            raise
        except ClusterError as error:
            raise ConfigurationError("--archive", str(error)) from error
        settings = self.place.settings
        if settings is None:
            return
        if not _in_files(settings):
            if self.place.count_orphans:
                raise ConfigurationError(
                    "--count-orphans", "counts files only, and there are none in this storage area"
                )
        elif not settings.storage_directory.is_dir():
            raise ConfigurationError(
                "StorageDirectory", f"{settings.storage_directory} is no folder here, so files cannot be checked"
            )
        with _database(settings, _LOOK_SECONDS) as database:
            # Proves that the tables are there, too. What it finds now is not ours, and will be found again.
            inconsistencies(database)

    def verify(self, ledger: Ledger) -> Findings:
        """Compare everything."""
        if self.place.settings is not None:
            return self._in_database(self.place.settings, ledger)
        if isinstance(self.door, HttpArchive):
            findings = check_over_http(_Promised(ledger, self._keeps(self.door)), self.door)
            check_deleted_over_http(findings, ledger.deleted(), self.door)
            return findings
        assert self.door is not None
        findings = check_over_dicom(ledger.acknowledged(by_series=True), self.door)
        check_deleted_over_dicom(findings, ledger.deleted(), self.door)
        return findings

    def _in_database(self, settings: Settings, ledger: Ledger) -> Findings:
        promised = _Promised(ledger, "first" if settings.overwrite_instances == "Never" else "last")
        directory = settings.storage_directory
        with _database(settings, _CHECK_SECONDS) as database:
            storage = None if _in_files(settings) else open_storage_area(settings, database, RandomNames())
            findings = check(promised, database, directory, count_orphans=self.place.count_orphans, storage=storage)
            check_deleted(findings, ledger.deleted(), database)
        return findings

    @staticmethod
    def _keeps(archive: HttpArchive) -> Keeps:
        overwrites = archive.system().get("OverwriteInstances")
        if not isinstance(overwrites, bool):
            return "either"
        return "last" if overwrites else "first"


@dataclass(frozen=True, slots=True)
class _Promised:
    """What has to be there, if the archive keeps that one of two contents."""

    ledger: Ledger
    keeps: Keeps

    def acknowledged(self) -> Iterator[list[Acknowledged]]:
        return self.ledger.acknowledged(keeps=self.keeps)


def _in_files(settings: Settings) -> bool:
    """Whether the storage area consists of files, which are compared without the program's own way of reading."""
    return not (settings.s3.is_used or settings.postgresql.enable_storage)


@contextmanager
def _database(settings: Settings, time_budget_seconds: float) -> Iterator[Database]:
    database = Database(settings.postgresql, time_budget_seconds=time_budget_seconds)
    database.open()
    try:
        yield database
    finally:
        database.close()
