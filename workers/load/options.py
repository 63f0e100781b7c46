"""What to send, where, and how to check it."""

from dataclasses import dataclass
from pathlib import Path

from cluster.config import Settings
from cluster.errors import ConfigurationError
from workers.load.sender import Target
from workers.load.studies import SIZES


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options of one run. Raises ConfigurationError for a value that makes no sense."""

    targets: tuple[Target, ...]
    """Senders take turns in them."""
    settings: Settings
    """Of the cluster behind the targets: index, storage area and AE title."""
    senders: int = 4
    instances: int = 1000
    size: str = "small"
    """``small``, ``ct`` or ``mixed``."""
    shared_studies: bool = False
    """Half of the senders send parts of the same studies, interleaved."""
    seed: int | None = None
    """The same seed makes the same instances; chosen at random if None."""
    time_limit_seconds: float = 60.0
    """For one instance, all its attempts together."""
    calling_aet: str = "LOAD"
    called_aet: str | None = None
    """That of `settings` if None."""
    ledger: Path | None = None
    """Where to keep the ledger (a new SQLite file); thrown away if None."""
    count_orphans: bool = False
    """Also count files without a row, which walks the whole storage area."""

    def __post_init__(self) -> None:
        self._require("--target", bool(self.targets), "is missing: HOST:PORT, several separated by commas")
        self._require("--senders", self.senders >= 1, "must be at least 1")
        self._require("--instances", self.instances >= 1, "must be at least 1")
        self._require("--size", self.size in SIZES, f"must be one of {', '.join(SIZES)}, not {self.size!r}")
        self._require("--same-study", not self.shared_studies or self.senders >= 2, "needs at least 2 senders")
        self._require("--time-limit", self.time_limit_seconds > 0, "must be more than 0")
        self._require("--ledger", self.ledger is None or not self.ledger.exists(), "must be a new file")

    @staticmethod
    def _require(option: str, met: bool, reason: str) -> None:
        if not met:
            raise ConfigurationError(option, reason)


def parse_targets(text: str) -> tuple[Target, ...]:
    """Read ``HOST:PORT[,HOST:PORT…]``; an IPv6 address stands in brackets. Raises ConfigurationError."""
    return tuple(_parse_target(part.strip()) for part in text.split(","))


def _parse_target(text: str) -> Target:
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigurationError("--target", f"{text!r} is not HOST:PORT")
    if ":" in host and not bracketed:
        raise ConfigurationError("--target", f"{text!r}: an IPv6 address stands in brackets, [::1]:4242")
    return Target(host[1:-1] if bracketed else host, int(port))
