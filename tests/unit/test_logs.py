"""Log lines: one JSON object a line whatever happens, and fields that follow their work."""

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from cluster.config import load_settings
from cluster.log_fields import LogField
from workers.http.threads import ThreadPool
from workers.logs import bind, bound_fields, is_for_machines, set_up_logging


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """What a process that is set up for JSON has written so far."""
    written = io.StringIO()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)

    class Lines(list[dict[str, object]]):
        def read(self) -> "Lines":
            self[:] = [json.loads(line) for line in written.getvalue().splitlines()]
            return self

    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", written)
        settings = load_settings(
            [],
            environ={},
            overrides={"Cluster": {"LogFormat": "json", "NodeName": "a"}},
        )
        set_up_logging(settings)
        yield Lines()
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_a_line_is_one_object(lines):
    with bind(association="7", peer="CT (192.0.2.1)"):
        logging.getLogger("cluster.x").info("two\nlines of %s", "Ünïcode")
    [line] = lines.read()
    assert line["message"] == "two\nlines of Ünïcode"
    assert (line["level"], line["logger"], line["node"]) == ("info", "cluster.x", "a")
    assert (line["association"], line["peer"]) == ("7", "CT (192.0.2.1)")
    assert line["time"].endswith("+00:00")
    assert line.keys() <= set(LogField)
    assert is_for_machines()


def test_tracebacks_are_inside(lines):
    try:
        raise OSError("a disk\nof many lines")
    except OSError:
        logging.getLogger("cluster.x").exception("failed")
    [line] = lines.read()
    assert "Traceback" in line["traceback"]
    assert "of many lines" in line["traceback"]


def test_what_nobody_caught_and_warnings(lines):
    thread = threading.Thread(target=lambda: 1 / 0, name="unlucky")
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    try:
        raise RuntimeError("end")
    except RuntimeError:
        sys.excepthook(*sys.exc_info())
    of_thread, warning, of_process = lines.read()
    assert of_thread["message"] == "thread unlucky ended"
    assert "ZeroDivisionError" in of_thread["traceback"]
    assert (warning["logger"], warning["level"]) == ("py.warnings", "warning")
    assert of_process["level"] == "critical"


def test_fields_follow_their_work_and_nothing_else():
    async def request(number: str) -> dict[str, str]:
        with bind(request=number):
            await asyncio.sleep(0)
            return dict(await pool.run(bound_fields))

    async def both() -> list[dict[str, str]]:
        return await asyncio.gather(request("1"), request("2"))

    pool = ThreadPool("test", 2, 2)
    assert asyncio.run(both()) == [{"request": "1"}, {"request": "2"}]
    pool.close()
    assert not bound_fields()


def test_only_declared_fields():
    with pytest.raises(ValueError, match="patient"), bind(patient="Doe"):
        pass
