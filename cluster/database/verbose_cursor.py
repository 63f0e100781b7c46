"""`EnableVerboseLogs`: every statement in the log, with how long it took, and none of its values."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg import pq, sql
from psycopg.rows import TupleRow

_LOG = logging.getLogger(__name__)


class VerboseCursor(psycopg.Cursor[TupleRow]):
    """Logs the text with its placeholders; what is bound to them are patients' data."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        with self._logged(query):
            return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        with self._logged(query):
            super().executemany(query, params_seq, **options)

    @contextmanager
    def _logged(self, query: Any) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        except psycopg.Error as error:
            _LOG.info("SQL, %.1f ms, SQLSTATE %s: %s", _milliseconds(started), error.sqlstate, self._text(query))
            raise
        # In a pipeline the answers come later, with those of the others.
        queued = self.connection.pgconn.pipeline_status != pq.PipelineStatus.OFF
        _LOG.info("SQL, %s: %s", "queued" if queued else f"{_milliseconds(started):.1f} ms", self._text(query))

    def _text(self, query: Any) -> str:
        return " ".join(_without_values(query).as_string(self).split())


def _without_values(query: Any) -> sql.Composable:
    if isinstance(query, bytes):
        query = query.decode()
    if isinstance(query, str):
        return sql.SQL(query)
    if isinstance(query, sql.Composed):
        return sql.Composed([_without_values(part) for part in query])
    return sql.Placeholder() if isinstance(query, sql.Literal) else query


def _milliseconds(started: float) -> float:
    return (time.monotonic() - started) * 1000
