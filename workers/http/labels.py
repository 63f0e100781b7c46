"""Routes of labels and of the protection of patients (interop/rest.md 2, 5)."""

from starlette.requests import Request
from starlette.responses import Response

from cluster.index import labels
from cluster.index.protection import is_protected, set_protected
from workers.http.answers import json_answer
from workers.http.described import TEXT, gives
from workers.http.errors import BAD_REQUEST, PARAMETER_OUT_OF_RANGE, Refusal
from workers.http.expanded import PATHS
from workers.http.handlers import Routes, reading
from workers.http.levels import level_of
from workers.http.services import Services
from workers.http.writing import done, writing, writing_body

_TRUTH = {b"0": False, b"false": False, b"1": True, b"true": True}

_MAXIMUM_TRUTH_BYTES = 1024


def list_labels(services: Services, request: Request) -> Response:
    """Labels of a resource, sorted."""
    services.require_ready()
    return json_answer(labels.labels_of(services.database, level_of(request), request.path_params["id"]))


def list_all_labels(services: Services, request: Request) -> Response:
    """Every label in use, sorted."""
    services.require_ready()
    return json_answer(labels.all_labels(services.database))


@gives(TEXT)
def get_label(services: Services, request: Request) -> Response:
    """Whether a resource has a label: 200 or 404."""
    services.require_ready()
    found = labels.labels_of(services.database, level_of(request), request.path_params["id"])
    return done() if request.path_params["label"] in found else Response(status_code=404)


@gives(TEXT)
def put_label(services: Services, request: Request, body: bytes) -> Response:
    """Give a resource a label; a body means nothing."""
    labels.add_label(services.database, level_of(request), request.path_params["id"], _label(request))
    return done()


@gives(TEXT)
def delete_label(services: Services, request: Request) -> Response:
    """Take a label away, if it is there."""
    labels.remove_label(services.database, level_of(request), request.path_params["id"], _label(request))
    return done()


@gives(TEXT)
def get_protected(services: Services, request: Request) -> Response:
    """Whether a patient is protected against recycling."""
    services.require_ready()
    return Response(str(int(is_protected(services.database, request.path_params["id"]))), media_type="text/plain")


@gives(TEXT)
def put_protected(services: Services, request: Request, body: bytes) -> Response:
    """Protect a patient, or not any longer."""
    protected = _TRUTH.get(body.strip())
    if protected is None:
        raise Refusal(BAD_REQUEST, "the body must be 0, 1, true or false")
    set_protected(services.database, request.path_params["id"], protected)
    return done()


def _label(request: Request) -> str:
    label: str = request.path_params["label"]
    if not labels.is_label(label):
        raise Refusal(PARAMETER_OUT_OF_RANGE, "a label has 1 to 64 characters out of A-Z, a-z, 0-9, _ and -")
    return label


ROUTES: Routes = (
    {f"/{path}/{{id}}/labels": {"GET": reading(list_labels)} for path in PATHS.values()}
    | {
        f"/{path}/{{id}}/labels/{{label}}": {
            "GET": reading(get_label),
            "PUT": writing_body(put_label, _MAXIMUM_TRUTH_BYTES),
            "DELETE": writing(delete_label),
        }
        for path in PATHS.values()
    }
    | {
        "/tools/labels": {"GET": reading(list_all_labels)},
        "/patients/{id}/protected": {
            "GET": reading(get_protected),
            "PUT": writing_body(put_protected, _MAXIMUM_TRUTH_BYTES),
        },
    }
)
