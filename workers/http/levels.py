"""Levels as the REST API names them."""

from typing import Any

from starlette.requests import Request

from cluster.dicom.levels import Level
from workers.http.expanded import LEVELS, PATHS, TYPES

_BY_NAME = {name.lower(): level for names in (TYPES, PATHS) for level, name in names.items()}


def level_of(request: Request) -> Level:
    """Of the resource that the path of a request begins with."""
    return LEVELS[request.url.path.split("/")[1]]


def level_named(name: Any) -> Level | None:
    """From a body, singular or plural; None for anything else."""
    return _BY_NAME.get(name.lower()) if isinstance(name, str) else None
