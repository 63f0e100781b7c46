"""A TLS context that takes up renewed certificates: those who renew them (cert-manager, ACME clients) replace files.

Each handshake begins with the context that was made last. A context that is in use is never changed: OpenSSL does not
promise that to be safe between threads.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster.errors import ConfigurationError

_LOG = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Between two looks at the files, which a handshake does."""


def renewed(make: Callable[[], ssl.SSLContext], files: Sequence[Path]) -> ssl.SSLContext:
    """What `make` makes of `files`, and makes again for later handshakes once they have changed.

    What cannot be used then (a certificate whose key has not been replaced yet) is logged, and the last one that could
    goes on. Raises ConfigurationError if that is so at the beginning.
    """
    seen = _state(files)
    first = make()
    newest = _Newest(first, make, files, seen)

    def on_hello(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = newest.context()

    # Called for every ClientHello, also for one that names no server.
    first.sni_callback = on_hello
    return first


class _Newest:
    def __init__(
        self, context: ssl.SSLContext, make: Callable[[], ssl.SSLContext], files: Sequence[Path], seen: object
    ) -> None:
        self._context = context
        self._make = make
        self._files = files
        self._seen = seen
        self._looked_at = time.monotonic()
        self._lock = threading.Lock()

    def context(self) -> ssl.SSLContext:
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._looked_at = time.monotonic()
                self._look()
            return self._context

    def _look(self) -> None:
        found = _state(self._files)
        if found == self._seen:
            return
        self._seen = found
        try:
            self._context = self._make()
            _LOG.info("certificates were renewed: %s", ", ".join(map(str, self._files)))
        except ConfigurationError as error:
            _LOG.error("renewed certificates are not taken up: %s", error)


def _state(files: Sequence[Path]) -> list[tuple[int, int, int] | None]:
    return [_stamp(file) for file in files]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
