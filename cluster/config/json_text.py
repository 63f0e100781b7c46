"""JSON with comments, as Orthanc's configuration files are written (interop/config.md, section 1)."""

import json
import re
from collections.abc import Mapping
from typing import Any

from cluster.config.substitution import substitute
from cluster.errors import ConfigurationError

JsonObject = dict[str, Any]

# Strings are matched only so that what looks like a comment inside them is left alone.
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)


def parse_configuration(source: str, origin: str, environ: Mapping[str, str]) -> JsonObject:
    """The JSON object that `source` holds, comments and `${NAME}` allowed.

    `origin` is the file or variable that the text comes from. Raises ConfigurationError whose path is `origin`, with
    line and column in `source` (both from 1). The message never quotes the text, which may hold a password.
    """
    expanded = substitute(source, environ)
    try:
        document = parse_json(_STRING_OR_COMMENT.sub(_blank, expanded.text))
    except json.JSONDecodeError as broken:
        problem = f"{_position(source, expanded.source_offset(broken.pos))}: {broken.msg}"
    except (ValueError, RecursionError):
        problem = "not JSON: a number is out of range, or the text is nested too deeply"
    else:
        if isinstance(document, dict):
            return document
        problem = "must hold a JSON object"
    # Raised here, not in the handlers: their exceptions carry the whole text.
    raise ConfigurationError(origin, problem)


def parse_json(text: str) -> Any:
    """Strict JSON, without Python's NaN and Infinity. Raises ValueError (mostly JSONDecodeError) or RecursionError."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _blank(match: re.Match[str]) -> str:
    """Spaces in place of a comment, so that every position stays what it was."""
    found = match[0]
    return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)


def _position(source: str, offset: int) -> str:
    line = source.count("\n", 0, offset) + 1
    column = offset - source.rfind("\n", 0, offset)
    return f"line {line}, column {column}"
