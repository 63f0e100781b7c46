"""POST /tools/find, /tools/count-resources and /tools/lookup (interop/rest.md 4, 8)."""

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.index.find import count, find
from cluster.index.lookup import lookup
from workers.http.answers import PooledStream, json_answer, json_array
from workers.http.described import TEXT, sent
from workers.http.errors import BAD_REQUEST, Refusal
from workers.http.expanded import TYPES, path_of
from workers.http.expansion import shown_pages
from workers.http.file_search import filtered
from workers.http.handlers import Routes, reading_body, reading_json
from workers.http.queries import Query, query_of
from workers.http.services import Services

MAXIMUM_IDENTIFIER_BYTES = 64 * 1024


def post_find(services: Services, request: Request, body: Any) -> Response:
    """Ids, or expanded resources, of what fulfils a query."""
    query = query_of(services.settings, body)
    found = _found(services, query)
    if query.is_expanded:
        return PooledStream.begun(
            services.reads, json_array(shown_pages(services, query.search.level, found, query.wanted))
        )
    return PooledStream.begun(services.reads, json_array(found))


def post_count_resources(services: Services, request: Request, body: Any) -> Response:
    """How many resources fulfil a query that the index alone can answer."""
    query = query_of(services.settings, body)
    if query.search.file_tags:
        raise Refusal(BAD_REQUEST, "only tags that are in the database can be counted by")
    if query.is_case_sensitive:
        raise Refusal(BAD_REQUEST, "'CaseSensitive' is not possible while counting")
    return json_answer({"Count": count(services.database, query.search)})


@sent(TEXT)
def post_lookup(services: Services, request: Request, body: bytes) -> Response:
    """Resources that have the text of the body as one of their identifiers."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refusal(BAD_REQUEST, "the body is not text in UTF-8") from None
    found = [] if "\0" in text else lookup(services.database, text)
    return json_answer(
        [{"ID": public_id, "Path": path_of(level, public_id), "Type": TYPES[level]} for level, public_id in found]
    )


def _found(services: Services, query: Query) -> Iterator[list[str]]:
    search = query.search
    if not search.file_tags:
        return find(services.database, search, query.since, query.limit)
    if query.since:
        raise Refusal(BAD_REQUEST, "'Since' is not possible with tags that are not in the database")
    return filtered(services, search, find(services.database, search), query.limit)


ROUTES: Routes = {
    "/tools/find": {"POST": reading_json(post_find)},
    "/tools/count-resources": {"POST": reading_json(post_count_resources)},
    "/tools/lookup": {"POST": reading_body(post_lookup, MAXIMUM_IDENTIFIER_BYTES)},
}
