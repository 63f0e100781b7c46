"""What a sender tells of one instance, and what follows from it for the archive."""

from dataclasses import dataclass
from typing import NamedTuple


class Failure(NamedTuple):
    """An attempt that failed."""

    target: str
    reason: str
    at: float
    """When it had, in seconds of the sender's monotonic clock."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one instance, as its sender tells it; times are seconds of one monotonic clock."""

    sender: int
    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    data_set_md5: str
    size: int
    """Bytes of the data set."""
    target: str
    """``host:port`` of the last attempt."""
    status: int | None
    """DIMSE status of the last attempt; None if no answer came."""
    acknowledged_at: float | None
    latency_seconds: float | None
    """From the first byte of the acknowledged attempt to its answer."""
    failures: tuple[Failure, ...] = ()
    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""
    second: tuple[str, bool] | None = None
    """MD5 of other content that was sent after the success, and whether that was acknowledged too."""

    @property
    def attempts(self) -> int:
        """How often it was sent, or tried to be sent, in order to be acknowledged."""
        return len(self.failures) + (self.acknowledged_at is not None)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An instance that the archive has taken responsibility for."""

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    public_id: str
    data_set_md5: str
    other_md5: str | None = None
    """Where two contents were sent and nobody knows which the archive keeps: that of the other."""
    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""

    def is_content(self, md5: str) -> bool:
        """Whether a data set of this MD5 is what was sent."""
        return md5 in (self.data_set_md5, self.other_md5)
