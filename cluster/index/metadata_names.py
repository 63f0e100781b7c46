"""Names of metadata in the REST API (interop/enumerations.md, "Metadata")."""

import re

from cluster.index.enumerations import MetadataType

_NAMES = {
    MetadataType.REMOTE_AET: "RemoteAET",
    MetadataType.REMOTE_IP: "RemoteIP",
    MetadataType.CALLED_AET: "CalledAET",
    MetadataType.PIXEL_DATA_VR: "PixelDataVR",
}
METADATA_NAMES: dict[int, str] = {
    int(kind): _NAMES.get(kind) or kind.name.title().replace("_", "") for kind in MetadataType
}
"""By type; what has no name here is called by its number."""

_TYPES = {name: kind for kind, name in METADATA_NAMES.items()}
_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)


def metadata_name(kind: int) -> str:
    """Name of a type, or its number."""
    return METADATA_NAMES.get(kind) or str(kind)


def metadata_type(name: str) -> int | None:
    """Type of a name or number; None if there is none."""
    if _NUMBER.fullmatch(name):
        return int(name) if 1 <= int(name) <= 65535 else None
    return _TYPES.get(name)
