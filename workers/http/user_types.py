"""Types of metadata and attachments by the names of the REST API, those of the configuration included.

Every route takes a name or a number, and shows the name where there is one (interop/enumerations.md).
"""

import re
from collections.abc import Mapping

from cluster.config import Settings
from cluster.config.user_types import DEFAULT_MIME_TYPE, LAST_USER_TYPE
from cluster.index.enumerations import AttachmentType
from cluster.index.metadata_names import METADATA_NAMES
from workers.http.errors import PARAMETER_OUT_OF_RANGE, UNKNOWN_RESOURCE, Refusal

ATTACHMENT_NAMES = {kind.value: kind.name.lower().replace("_", "-") for kind in AttachmentType}

_MIME_TYPES = {int(AttachmentType.DICOM): "application/dicom", int(AttachmentType.DICOM_AS_JSON): "application/json"}
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def metadata_type(settings: Settings, name: str) -> int:
    """Number of a metadata; raises Refusal (404) for an unknown name."""
    return _type("metadata", name, METADATA_NAMES, settings.user_metadata)


def metadata_name(settings: Settings, kind: int) -> str:
    """Name of a metadata, or its number."""
    return _name(kind, METADATA_NAMES, settings.user_metadata)


def attachment_type(settings: Settings, name: str) -> int:
    """Number of an attachment; raises Refusal (404) for an unknown name."""
    return _type("attachment", name, ATTACHMENT_NAMES, _content_numbers(settings))


def attachment_name(settings: Settings, kind: int) -> str:
    """Name of an attachment, or its number."""
    return _name(kind, ATTACHMENT_NAMES, _content_numbers(settings))


def mime_type(settings: Settings, kind: int) -> str:
    """What the bytes of an attachment are said to be."""
    for content in settings.user_content_type.values():
        if content.number == kind:
            return content.mime_type
    return _MIME_TYPES.get(kind, DEFAULT_MIME_TYPE)


def _content_numbers(settings: Settings) -> Mapping[str, int]:
    return {name: content.number for name, content in settings.user_content_type.items()}


def _type(what: str, name: str, known: Mapping[int, str], configured: Mapping[str, int]) -> int:
    if name in configured:
        return configured[name]
    for kind, own_name in known.items():
        if name == own_name:
            return kind
    if not _NUMBER.fullmatch(name):
        raise Refusal(UNKNOWN_RESOURCE, f"unknown {what} {name!r}")
    if int(name) > LAST_USER_TYPE:
        raise Refusal(PARAMETER_OUT_OF_RANGE, f"types of {what} go up to {LAST_USER_TYPE}")
    return int(name)


def _name(kind: int, known: Mapping[int, str], configured: Mapping[str, int]) -> str:
    for name, number in configured.items():
        if number == kind:
            return name
    return known.get(kind) or str(kind)
