"""Names that a site gives to its own types of metadata and attachments (interop/config.md, interop/enumerations.md)."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator

FIRST_USER_TYPE, LAST_USER_TYPE = 1024, 65535
"""Types below belong to Orthanc."""

DEFAULT_MIME_TYPE = "application/octet-stream"


class ContentType(NamedTuple):
    """Number of a type of attachment, and what its bytes are said to be."""

    number: int
    mime_type: str


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not FIRST_USER_TYPE <= value <= LAST_USER_TYPE:
        raise ValueError(f"must give each name a number from {FIRST_USER_TYPE} to {LAST_USER_TYPE}")
    return value


def _numbers(value: Any) -> Any:
    return {name: _number(number) for name, number in value.items()} if isinstance(value, Mapping) else value


def _content_types(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    types = {}
    for name, meaning in value.items():
        number, mime_type = (meaning, DEFAULT_MIME_TYPE) if not isinstance(meaning, (list, tuple)) else _pair(meaning)
        types[name] = ContentType(_number(number), mime_type)
    return types


def _pair(meaning: Any) -> tuple[Any, str]:
    if len(meaning) != 2 or not isinstance(meaning[1], str) or not meaning[1].isascii() or not meaning[1].isprintable():
        raise ValueError("must give each name a number, or [number, MIME type]")
    return meaning[0], meaning[1]


def _unambiguous(types: Mapping[str, Any]) -> Mapping[str, Any]:
    if any(not name or name.isdecimal() or "/" in name for name in types):
        raise ValueError("must not have a name that is empty, a number, or contains '/'")
    if len({_number_of(meaning) for meaning in types.values()}) < len(types):
        raise ValueError("must not give two names the same number")
    return types


def _number_of(meaning: Any) -> int:
    return meaning.number if isinstance(meaning, ContentType) else meaning


UserMetadata = Annotated[Mapping[str, int], BeforeValidator(_numbers), AfterValidator(_unambiguous)]
UserContentType = Annotated[Mapping[str, ContentType], BeforeValidator(_content_types), AfterValidator(_unambiguous)]
