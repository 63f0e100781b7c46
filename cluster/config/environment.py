"""Configuration from environment variables, as in the image orthancteam/orthanc (interop/config.md, section 8).

``ORTHANC__POSTGRESQL__HOST`` is PostgreSQL.Host; ``ORTHANC_JSON`` is a whole configuration. With ``_SECRET`` appended
the value names a file below the folder of secrets, which holds the real value. ``_FILE``, which is an extension of
ours, does the same with any file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from cluster.config.cluster_section import ClusterSettings
from cluster.config.dicom import DicomSettings
from cluster.config.http import HttpSettings
from cluster.config.json_text import JsonObject, parse_configuration, parse_json
from cluster.config.options import Options
from cluster.config.postgresql import PostgreSQLSettings
from cluster.config.s3 import S3Settings
from cluster.config.settings import Settings
from cluster.config.unserved import UnservedOptions
from cluster.errors import ConfigurationError

SECTIONS: Mapping[str, type[Options]] = {
    "PostgreSQL": PostgreSQLSettings,
    "AwsS3Storage": S3Settings,
    "Cluster": ClusterSettings,
}
TOP_LEVEL: tuple[type[Options], ...] = (Settings, DicomSettings, HttpSettings, UnservedOptions)

_WHOLE = "ORTHANC_JSON"
_PREFIX = "ORTHANC__"
# In the order in which they are applied: a later one wins.
_SUFFIXES = ("", "_FILE", "_SECRET")
_WORDS = {"POSTGRESQL": "PostgreSQL", "MYSQL": "MySQL", "OHIF": "OHIF"}
_NAMES = {
    "CASE_SENSITIVE_PN": "CaseSensitivePN",
    "HTTPS_CA_CERTIFICATES": "HttpsCACertificates",
    "MAXIMUM_REQUEST_BODY_SIZE_MB": "MaximumRequestBodySizeMB",
    "STORE_MD5_FOR_ATTACHMENTS": "StoreMD5ForAttachments",
}


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable that says something; an empty path stands for the whole configuration."""

    name: str
    path: tuple[str, ...]
    suffix: str


def read_environment(environ: Mapping[str, str], secrets_folder: Path) -> JsonObject:
    """What the variables say, as a configuration document.

    The whole configuration comes first, then sections, then single options; values from files win over plain ones.
    Raises ConfigurationError naming the variable.
    """
    document: JsonObject = {}
    for variable in sorted(_variables(environ), key=lambda it: (_SUFFIXES.index(it.suffix), len(it.path), it.name)):
        text = environ[variable.name]
        if variable.suffix:
            text = _content(variable, secrets_folder / text if variable.suffix == "_SECRET" else Path(text))
        if variable.path:
            value = _typed(variable.path, text)
            for key in reversed(variable.path):
                value = {key: value}
        else:
            value = parse_configuration(text, variable.name, environ)
        document = merge(document, value)
    return document


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> JsonObject:
    """Both documents in one: objects are merged, of anything else `above` wins."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def option_path(name: str) -> tuple[str, ...]:
    """The path that a variable name without its prefix stands for: `A_B__C_D` is ("AB", "CD").

    Raises ValueError if a level is empty.
    """
    levels = name.split("__")
    if not all(level.strip("_") for level in levels):
        raise ValueError(name)
    return tuple(
        _NAMES.get(level) or "".join(_WORDS.get(word, word.capitalize()) for word in level.split("_"))
        for level in levels
    )


def _variables(environ: Mapping[str, str]) -> Iterator[_Variable]:
    for name in environ:
        if name.startswith(_PREFIX):
            yield _option_variable(name)
        elif name.startswith(_WHOLE) and (suffix := name.removeprefix(_WHOLE)) in _SUFFIXES:
            yield _Variable(name, (), suffix)


def _option_variable(name: str) -> _Variable:
    """A suffix counts only if what precedes it is an option of ours: other options do end in "File" or "Secret"."""
    try:
        path = option_path(name.removeprefix(_PREFIX))
        for suffix in _SUFFIXES[1:]:
            shorter = name.removesuffix(suffix).removeprefix(_PREFIX)
            if name.endswith(suffix) and _field(path) is None and _expected(option_path(shorter)):
                return _Variable(name, option_path(shorter), suffix)
    except ValueError:
        raise ConfigurationError(name, "does not stand for an option: a part of the name is empty") from None
    return _Variable(name, path, "")


def _content(variable: _Variable, file: Path) -> str:
    # The file is not named in a message: whoever confuses `_SECRET` with the plain form has put the password there.
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as failure:
        problem = failure.strerror
    except ValueError:
        problem = "it is not UTF-8 text"
    raise ConfigurationError(variable.name, f"the file that it names cannot be read: {problem}")


def _typed(path: tuple[str, ...], text: str) -> Any:
    """The value for the option at `path`: an option that is text gets the text, even if it reads like JSON."""
    if _expected(path) == "text":
        return text
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return text


def _expected(path: tuple[str, ...]) -> Literal["text", "json"] | None:
    """What the option at `path` is made from; None if it is none of ours."""
    if path in {(section,) for section in SECTIONS}:
        return "json"
    field = _field(path)
    if field is not None:
        return "text" if _takes_only_text(field) else "json"
    parent = _field(path[:-1])
    if parent is None or get_origin(parent.annotation) is not Mapping:
        return None
    return "text" if _is_text(get_args(parent.annotation)[1]) else "json"


def _field(path: tuple[str, ...]) -> FieldInfo | None:
    match path:
        case (key,):
            return next((model.by_key()[key] for model in TOP_LEVEL if key in model.by_key()), None)
        case (section, key) if section in SECTIONS:
            return SECTIONS[section].by_key().get(key)
    return None


def _takes_only_text(field: FieldInfo) -> bool:
    # A BeforeValidator is there to accept something else as well.
    return _is_text(field.annotation) and not any(isinstance(item, BeforeValidator) for item in field.metadata)


def _is_text(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin is Annotated:
        return _is_text(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return all(_is_text(choice) for choice in get_args(annotation) if choice is not NoneType)
    return annotation in (str, SecretStr, Path)
