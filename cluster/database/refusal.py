"""Which SQLSTATE a server gave when it refused a connection, in whatever language it said so.

libpq keeps the code to itself: of a connection that was not made there is only the text, in the language of the
server (lc_messages). Whoever could not tell from that is refused a second time, by a connection that is asked to put
codes into its texts.
"""

import ctypes
import functools
import re
import select
import time
from pathlib import Path

import psycopg
from psycopg import pq

from cluster.database.sqlstate import ConnectionRefused, translate
from cluster.errors import AccessRefused

_FROM_SERVER = re.compile(r"failed: [^\n]{1,40}?:  ")
"""libpq writes what a server says as ``SEVERITY:  text``, and nothing else so."""
_WITH_CODE = re.compile(r":  ([0-9A-Z]{5}): ")
_VERBOSE = 2
"""PQERRORS_VERBOSE (https://www.postgresql.org/docs/current/libpq-control.html)."""
_SECONDS = 5.0
_LOADED = Path("/proc/self/maps")


def explained(error: psycopg.OperationalError, conninfo: str) -> psycopg.OperationalError:
    """The same error, or a `ConnectionRefused` where the server was the one who said no and could be asked why.

    Args:
        error: why no connection was made.
        conninfo: to where.
    """
    if error.sqlstate is not None or not _FROM_SERVER.search(str(error)) or isinstance(translate(error), AccessRefused):
        return error
    found = _WITH_CODE.search(_verbose_failure(conninfo))
    return ConnectionRefused(str(error), found[1]) if found else error


def _verbose_failure(conninfo: str) -> str:
    """Why no connection is made, with codes; empty if one is, or if nobody can be asked."""
    libpq = _libpq()
    if libpq is None:
        return ""
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        libpq.PQsetErrorVerbosity(ctypes.c_void_p(connection.pgconn_ptr), _VERBOSE)  # type: ignore[attr-defined]
        deadline = time.monotonic() + _SECONDS
        while connection.status != pq.ConnStatus.BAD:
            status = connection.connect_poll()
            if status == pq.PollingStatus.OK:
                return ""
            if status == pq.PollingStatus.FAILED:
                break
            waiting = select.poll()
            waiting.register(connection.socket, select.POLLIN if status == pq.PollingStatus.READING else select.POLLOUT)
            if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return ""
        return connection.error_message.decode(errors="replace")
    except psycopg.Error:
        return ""
    finally:
        connection.finish()


@functools.cache
def _libpq() -> ctypes.CDLL | None:
    """The very libpq that psycopg uses; None where it cannot be found: another one would not know our connections."""
    try:
        mapped = {line.split(maxsplit=5)[-1] for line in _LOADED.read_text().splitlines() if "/libpq" in line}
        return ctypes.CDLL(mapped.pop()) if len(mapped) == 1 else None
    except OSError:  # no such file system, or the library was replaced since (an upgrade of the package)
        return None
