"""Answers in the form in which Orthanc gives them (interop/rest.md 1)."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from workers.http.threads import ThreadPool

JSON_TYPE = "application/json; charset=utf-8"


def orthanc_json(value: Any) -> str:
    """JSON with sorted keys, three spaces of indentation, `` : `` and ASCII only."""
    return json.dumps(value, indent=3, sort_keys=True, separators=(",", " : "), ensure_ascii=True)


def json_answer(value: Any, status: int = 200) -> Response:
    """A whole JSON answer."""
    return Response(orthanc_json(value) + "\n", status, media_type=JSON_TYPE)


def json_array(pages: Iterable[list[Any]]) -> Iterator[bytes]:
    """The text of one JSON array with the elements of all pages, a piece for each page."""
    opened = False
    for page in pages:
        elements = (orthanc_json(element).replace("\n", "\n   ") for element in page)
        text = ",".join(f"\n   {element}" for element in elements)
        if not opened:
            yield b"[" + text.encode()
            opened = True
        elif text:
            yield b"," + text.encode()
    yield b"\n]\n" if opened else b"[]\n"


class PooledStream(StreamingResponse):
    """A body whose pieces a thread of a pool produces one at a time, as fast as the client takes them."""

    def __init__(
        self,
        pool: ThreadPool,
        pieces: Iterator[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = JSON_TYPE,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            close: called when the body was sent or the client went away.
        """
        super().__init__(_produced(pool, pieces), status, headers, media_type)
        self._close = close

    @classmethod
    def begun(cls, pool: ThreadPool, pieces: Iterator[bytes], **options: Any) -> "PooledStream":
        """The same, with the first piece produced here and now, while an error can still become a status."""
        first = list(islice(pieces, 1))
        return cls(pool, chain(first, pieces), **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer (ASGI)."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


async def _produced(pool: ThreadPool, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await pool.run(next, pieces, None)) is not None:
        yield piece
