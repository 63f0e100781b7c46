"""A change as the REST API shows it (interop/rest.md 7)."""

from typing import Any

from cluster.index.changes import Change
from cluster.index.enumerations import ChangeType
from workers.http.expanded import TYPES, path_of

_NAMES = {int(kind): kind.name.title().replace("_", "") for kind in ChangeType}

CHANGE_TYPES = {name: kind for kind, name in _NAMES.items()}
"""By the names of the REST API."""


def change_as_json(change: Change) -> dict[str, Any]:
    """The object of one change."""
    return {
        "ChangeType": _NAMES.get(change.change_type, str(change.change_type)),
        "Date": change.date,
        "ID": change.public_id,
        "Path": path_of(change.level, change.public_id),
        "ResourceType": TYPES[change.level],
        "Seq": change.seq,
    }
