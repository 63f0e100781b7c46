"""GET /exports (interop/rest.md 7)."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.index.exports import Export, clear_exports, exports_since, last_export
from workers.http.answers import json_answer
from workers.http.described import TEXT, gives, takes
from workers.http.expanded import TYPES, path_of
from workers.http.handlers import Routes, reading
from workers.http.parameters import flag
from workers.http.services import Services
from workers.http.writing import done, writing

DEFAULT_LIMIT = 100
MAXIMUM_LIMIT = 20_000
"""A larger limit is cut to this, and `Done` is false."""

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


@takes(
    {"since": "Number of the last export that is known.", "limit": "How many at most.", "last": "Only the last one."}
)
def get_exports(services: Services, request: Request) -> Response:
    """A page of the log, or its last entry. What is no number means the defaults, as in /changes."""
    services.require_ready()
    if flag(request, "last"):
        last = last_export(services.database)
        return json_answer(_answer([last] if last else [], True, 0))
    texts = {name: request.query_params.get(name, "0") for name in ("since", "limit")}
    if not all(_NUMBER.fullmatch(text) for text in texts.values()):
        texts = {"since": "0", "limit": "0"}
    since = int(texts["since"])
    exports, done = exports_since(services.database, since, min(int(texts["limit"]) or DEFAULT_LIMIT, MAXIMUM_LIMIT))
    return json_answer(_answer(exports, done, since))


def _answer(exports: list[Export], done: bool, since: int) -> dict[str, Any]:
    return {
        "Done": done,
        "Exports": [_export(export) for export in exports],
        "Last": exports[-1].seq if exports else since,
    }


def _export(export: Export) -> dict[str, Any]:
    return {
        "Date": export.date,
        "ID": export.public_id,
        "Path": path_of(export.level, export.public_id),
        "PatientID": export.patient_id,
        "RemoteModality": export.remote_modality,
        "ResourceType": TYPES[export.level],
        "SOPInstanceUID": export.sop_instance_uid,
        "Seq": export.seq,
        "SeriesInstanceUID": export.series_instance_uid,
        "StudyInstanceUID": export.study_instance_uid,
    }


@gives(TEXT)
def delete_exports(services: Services, request: Request) -> Response:
    """Empty the log; numbers go on where they were."""
    clear_exports(services.database)
    return done()


ROUTES: Routes = {"/exports": {"GET": reading(get_exports), "DELETE": writing(delete_exports)}}
