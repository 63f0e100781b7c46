"""Where an instance came from (interop/ingest.md 2, "Origins")."""

from dataclasses import dataclass

from cluster.index.enumerations import MetadataType


@dataclass(frozen=True, slots=True)
class Origin:
    """The sender as the index remembers it. None means that the metadata row is not written."""

    protocol: str
    """Metadata Origin: ``DicomProtocol`` or ``RestApi``."""
    remote_aet: str = ""
    remote_ip: str | None = None
    called_aet: str | None = None
    http_username: str | None = None

    def metadata(self) -> dict[int, str]:
        """The rows of the instance that tell of its origin."""
        rows = {
            MetadataType.REMOTE_AET: self.remote_aet,
            MetadataType.ORIGIN: self.protocol,
            MetadataType.REMOTE_IP: self.remote_ip,
            MetadataType.CALLED_AET: self.called_aet,
            MetadataType.HTTP_USERNAME: self.http_username,
        }
        return {int(kind): value for kind, value in rows.items() if value is not None}
