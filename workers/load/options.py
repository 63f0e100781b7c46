"""What to send, where, and how to check it."""

from dataclasses import dataclass, field
from pathlib import Path

from cluster.config import Settings
from cluster.errors import ConfigurationError
from workers.client_tls import ClientTls
from workers.load.files import Catalogue
from workers.load.pace import Pace
from workers.load.plan import Slow
from workers.load.studies import SIZES, Size
from workers.load.targets import Target, parse_targets
from workers.load.thresholds import Thresholds
from workers.load.transports import Credentials
from workers.load.verify import Place

__all__ = ["LoadOptions", "parse_targets"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options of one run. Raises ConfigurationError for a value that makes no sense."""

    targets: tuple[Target, ...]
    """Senders take turns in them."""
    settings: Settings | None = None
    """Of the cluster behind the targets: index and storage area, which are compared with the ledger."""
    archive: Target | None = None
    """The archive behind the targets, for searches, deletions, and the comparison without `settings`: a door of
    Orthanc's REST API, or a DICOM door for C-FIND and C-GET."""
    check: bool = True
    """Compare in the end; else only the ledger is made."""
    senders: int = 4
    processes: int | None = None
    """That hold the senders; as many as make sense if None."""
    part: int = 1
    """Of the senders, this machine has those of one of `parts` equal parts; `senders`, `instances` and rates are those
    of all parts together."""
    parts: int = 1
    begin_at: float | None = None
    """When to begin, in seconds since 1970; as soon as possible if None."""
    instances: int = 1000
    """Without `pace`; with it, its phases say how many."""
    files: Catalogue | None = None
    """What is sent instead of synthetic studies, under new UIDs, as often as it takes."""
    size: Size = "small"
    """``tiny``, ``small``, ``ct`` or ``mixed``, or kinds of studies that take turns."""
    shared_studies: bool = False
    """Half of the senders send parts of the same studies, interleaved."""
    send_again_percent: float = 0.0
    """Of the instances, those that are sent once more after their success."""
    overwrite_percent: float = 0.0
    """Of the instances, those that are sent once more with other content."""
    slow: Slow | None = None
    """Which senders have a slow line; nobody if None."""
    pace: Pace | None = None
    """When instances are due; None: as fast as it goes."""
    seed: int | None = None
    """The same seed makes the same instances; chosen at random if None."""
    time_limit_seconds: float = 60.0
    """For one instance, all its attempts together."""
    calling_aet: str = "LOAD"
    called_aet: str | None = None
    """That of `settings` if None, or Orthanc's default."""
    ledger: Path | None = None
    """Where to keep the ledger (a new SQLite file); thrown away if None."""
    resume: bool = False
    """Go on with the run of this ledger."""
    credentials: Credentials | None = None
    """For HTTP doors."""
    tls: ClientTls | None = None
    """For DICOM doors."""
    queries_per_second: float = 0.0
    """Searches beside, in `archive`."""
    deletes_per_second: float = 0.0
    """Instances that are deleted again beside, in `archive`."""
    metrics: tuple[str, ...] = ()
    """Prometheus pages to be read beside."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    count_orphans: bool = False
    """Also count files without a row, which walks the whole storage area."""

    @property
    def planned(self) -> int:
        """How many instances there are to send."""
        return self.pace.instances if self.pace is not None else self.instances

    @property
    def aet(self) -> str:
        """What the archive is called."""
        return self.called_aet or (self.settings.dicom.aet if self.settings is not None else "ORTHANC")

    @property
    def place(self) -> Place:
        """Where what was acknowledged is looked for."""
        names = self.aet, self.calling_aet
        return Place(
            self.settings, self.archive, self.credentials, *names, tls=self.tls, count_orphans=self.count_orphans
        )

    def __post_init__(self) -> None:
        self._require("--target", bool(self.targets), "is missing: HOST:PORT, several separated by commas")
        self._require(
            "--archive",
            self.settings is not None or self.archive is not None or not self.check,
            "is missing: what was acknowledged is compared over http://HOST:PORT of an Orthanc, by C-FIND and C-GET of"
            " dicom://HOST:PORT, or with --config or --data in index and storage area",
        )
        self._require("--senders", self.senders >= self.parts, f"must be at least {self.parts}")
        self._require("--processes", self.processes is None or self.processes >= 1, "must be at least 1")
        self._require("--part", 1 <= self.part <= self.parts, f"{self.part}/{self.parts} is no part of a whole")
        self._require("--part", self.parts == 1 or self.seed is not None, "needs --seed, the same for all parts")
        self._require("--instances", self.planned >= 1, "must be at least 1")
        is_known = not isinstance(self.size, str) or self.size in SIZES
        self._require("--size", is_known, f"must be one of {', '.join(SIZES)}, not {self.size!r}")
        self._require("--same-study", not self.shared_studies or self.senders >= 2, "needs at least 2 senders")
        self._require("--time-limit", self.time_limit_seconds > 0, "must be more than 0")
        if self.resume:
            self._require("--resume", self.ledger is not None and self.ledger.exists(), "needs the --ledger of a run")
        else:
            self._require("--ledger", self.ledger is None or not self.ledger.exists(), "must be a new file")
        self._require(
            "--scenario", not self.queries_per_second or self.archive is not None, "has queries, which need --archive"
        )
        self._require(
            "--scenario",
            not self.deletes_per_second or (self.archive is not None and bool(self.archive.url)),
            "has deletes, which need --archive http://HOST:PORT",
        )
        self._require(
            "--scenario", not self.overwrite_percent or self.files is None, "overwrites, which --files cannot do"
        )

    @staticmethod
    def _require(option: str, met: bool, reason: str) -> None:
        if not met:
            raise ConfigurationError(option, reason)
