"""Keys of attachments in a bucket, those of Orthanc's AWS S3 plugin (options RootPath, StorageStructure)."""

from collections.abc import Iterator

from cluster.config import S3Settings
from cluster.errors import UnknownResource
from cluster.storage.area import DICOM

DICOM_AS_JSON = 2

_EXTENSIONS = {DICOM: ".dcm", DICOM_AS_JSON: ".json"}
_OTHER = ".unk"


class Keys:
    """``RootPath/UUID.dcm`` (``.json``, ``.unk``) if flat, ``RootPath/ab/cd/UUID`` if legacy."""

    def __init__(self, settings: S3Settings) -> None:
        self._root = f"{settings.root_path}/" if settings.root_path else ""
        self._is_flat = settings.storage_structure == "flat"
        self.probe = f"{self._root}orthanc-cluster-probe"
        """No attachment has such a name."""

    def of(self, uuid: str, kind: int) -> str:
        """The key of an attachment of a type; raises UnknownResource for what is no UUID."""
        if len(uuid) != 36 or not uuid.replace("-", "").isalnum():
            raise UnknownResource(f"{uuid!r} is not the UUID of an attachment")
        if self._is_flat:
            return f"{self._root}{uuid}{_EXTENSIONS.get(kind, _OTHER)}"
        return f"{self._root}{uuid[0:2]}/{uuid[2:4]}/{uuid}"

    def candidates(self, uuid: str) -> Iterator[str]:
        """Keys that it can have, whatever its type, the likeliest first."""
        yield self.of(uuid, DICOM)
        if self._is_flat:
            yield self.of(uuid, 0)
            yield self.of(uuid, DICOM_AS_JSON)
