"""Log lines of a process, on standard error: for a person (`console`) or for a collector (`json`, one object a line).

Whatever writes through Python's logging comes out the same way: uvicorn, Celery, warnings, and exceptions that nobody
caught, of threads too. `bind` adds fields to all lines of a piece of work.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType

from cluster.config import Settings, describe
from cluster.log_fields import LogField

_CONSOLE = "%(asctime)s.%(msecs)03d %(levelname)-7s %(process)d %(threadName)s: %(message)s"
_NOTHING: Mapping[LogField, str] = {}
_bound: ContextVar[Mapping[LogField, str]] = ContextVar("log_fields", default=_NOTHING)


@contextmanager
def bind(**fields: str) -> Iterator[None]:
    """Add fields, named by `cluster.log_fields.LogField`, to every line that this context writes within the block.

    A context is a thread, an asyncio task, or a copy of either (`contextvars.copy_context().run`). Outer fields stay.

    Raises:
        ValueError: a field that is not declared.
    """
    token = _bound.set({**_bound.get(), **{LogField(name): value for name, value in fields.items()}})
    try:
        yield
    finally:
        _bound.reset(token)


def bound_fields() -> Mapping[LogField, str]:
    """What `bind` has added here."""
    return _bound.get()


def set_up_logging(settings: Settings | None = None, *, verbose: bool = False) -> None:
    """As `Cluster.LogFormat` wants it, or for a person without settings; libraries only from WARNING on."""
    is_json = settings is not None and settings.cluster.log_format == "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(settings.cluster.node_name) if settings and is_json else ConsoleFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        if type(old) is logging.StreamHandler:  # that of an earlier call; not those of a test runner
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    for package in ("cluster", "workers"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)
    # Our own log says what became of a transaction; the pool's view of it would only double that.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    if is_json:
        if logging.lastResort is not None:  # for loggers that do not pass on what they have no handler for
            logging.lastResort.setFormatter(handler.formatter)
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_uncaught_of_thread
        sys.unraisablehook = _log_unraisable


class ConsoleFormatter(logging.Formatter):
    """Local time, level, process, thread, text, and the bound fields behind it."""

    def __init__(self) -> None:
        super().__init__(_CONSOLE, "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line without a traceback."""
        fields = " ".join(f"{name}={value}" for name, value in _bound.get().items())
        return super().formatMessage(record) + (f" [{fields}]" if fields else "")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, whatever is in the message; the names are those of `LogField`."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """The object; a traceback is a text in it."""
        line: dict[str, object] = {
            LogField.TIME: datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            LogField.LEVEL: record.levelname.lower(),
            LogField.LOGGER: record.name,
            LogField.MESSAGE: record.getMessage(),
            LogField.NODE: self._node,
            LogField.PROCESS: record.process or os.getpid(),
            LogField.THREAD: record.threadName,
        }
        line.update({str(name): value for name, value in _bound.get().items()})
        if record.exc_info:
            line[LogField.TRACEBACK] = self.formatException(record.exc_info)
        if record.stack_info:
            line[LogField.STACK] = record.stack_info
        return json.dumps(line, ensure_ascii=False, default=str)


def log_configuration(settings: Settings) -> None:
    """The first lines of a node's log: version, configuration files, index, storage area."""
    log = logging.getLogger(__name__)
    log.info("orthanc-cluster version: %s", version("orthanc-cluster"))
    for line in describe(settings):
        log.info("%s", line)


def is_for_machines() -> bool:
    """Whether this process promised one JSON object a line, so that nothing else may be written to standard error."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("this process ends", exc_info=(kind, error, trace))


def _log_uncaught_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit or arguments.exc_value is None:
        return
    name = arguments.thread.name if arguments.thread else "?"
    logging.getLogger(__name__).critical(
        "thread %s ended", name, exc_info=(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
    )


def _log_unraisable(arguments: "sys.UnraisableHookArgs") -> None:
    text = arguments.err_msg or "Exception ignored in"
    logging.getLogger(__name__).error("%s: %r", text, arguments.object, exc_info=arguments.exc_value)
