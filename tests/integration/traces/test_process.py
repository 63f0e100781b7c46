"""Traces within one process: what they cost where they are off, and that no collector can hurt."""

import gc
import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from prometheus_client import REGISTRY

from cluster import tracing
from cluster.errors import DatabaseRefused
from cluster.ingest.batch import GroupCommit
from cluster.ingest.commit import Stored
from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.support.collector import Collector
from tests.support.dicom import make_file
from tests.support.servers import new_database
from tests.support.settings import settings_for
from workers.traces import traces

ORIGIN = Origin("DicomProtocol", "SCANNER", "127.0.0.1", "ORTHANC")


@pytest.fixture
def collector(monkeypatch):
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collector


@pytest.fixture(scope="module")
def place(tmp_path_factory, postgresql, schema_template):
    """Database and storage directory of all of them."""
    with new_database(postgresql, schema_template) as name:
        yield postgresql.uri(name), tmp_path_factory.mktemp("storage")


@pytest.fixture
def intake(place):
    with closing(open_intake(settings_for(*place))) as intake:
        yield intake


def store(intake, file=None):
    with tracing.span("one"), intake.receive(ORIGIN) as reception:
        reception.write(file or make_file())
        return reception.commit()


class _Staged:
    """What GroupCommit looks at."""

    def __init__(self, number):
        self.instance = type("Instance", (), {"public_ids": type("Ids", (), {"instance": str(number)})})


def test_a_batch_is_linked_with_all_its_instances(collector):
    first_is_in, go_on, together = threading.Event(), threading.Event(), []

    def commit(batch):
        if not first_is_in.is_set():
            first_is_in.set()
            assert go_on.wait(10)
        together.append(len(batch))
        return [Stored(None, "Success")] * len(batch)

    def send(number):
        with tracing.span(f"instance {number}"):
            group.store(_Staged(number))

    with traces(settings_for(), "test"):
        group = GroupCommit(commit, on_their_way=lambda: 0, maximum_size=8, maximum_wait_seconds=0, batches_in_flight=1)
        # Three that come while another one is being committed leave together.
        senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        senders[0].start()
        assert first_is_in.wait(10)
        for sender in senders[1:]:
            sender.start()
        deadline = time.monotonic() + 10
        while len(group._waiting) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        go_on.set()
        for sender in senders:
            sender.join()
        group.stop()
    assert together == [1, 3]
    spans = {span.name: span for span in collector.spans if span.name.startswith("instance")}
    batch = next(s for s in collector.spans if s.name == "batch" and s.attributes["orthanc_cluster.instances"] == 3)
    assert set(batch.links) == {spans[f"instance {number}"].span_id for number in (1, 2, 3)}
    assert batch.parent_id in batch.links
    stores = [s for s in collector.spans if s.name == "store" and s.links == (batch.span_id,)]
    assert {s.parent_id for s in stores} == set(batch.links)


@pytest.mark.parametrize("kind", ["nobody listens", "never answers", "refuses"])
def test_a_dead_collector_costs_spans_and_nothing_else(kind, intake, monkeypatch, caplog):
    with Collector() as refusing, socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing.status = 400
        port = {"nobody listens": unused, "never answers": silent}.get(kind)
        url = refusing.url if port is None else f"http://127.0.0.1:{port.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        for name, value in {"SCHEDULE_DELAY": "20", "MAX_QUEUE_SIZE": "40", "MAX_EXPORT_BATCH_SIZE": "20"}.items():
            monkeypatch.setenv(f"OTEL_BSP_{name}", value)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
        monkeypatch.setattr("workers.spans._FAREWELL_SECONDS", 0.2)
        lost = {"outcome": "lost"}
        before = REGISTRY.get_sample_value("orthanc_cluster_spans_total", lost) or 0
        with traces(settings_for(), "test"):
            longest = 0.0
            for _ in range(12):
                began = time.monotonic()
                assert store(intake).status == "Success"
                longest = max(longest, time.monotonic() - began)
            # 12 instances with ten spans each; the queue, what is being sent, and what these objects leave for gc.
            gc.collect()
            assert sum(isinstance(it, ReadableSpan) for it in gc.get_objects()) <= 40 + 20
            deadline = time.monotonic() + 10
            while (REGISTRY.get_sample_value("orthanc_cluster_spans_total", lost) or 0) == before:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            ending = time.monotonic()
        assert time.monotonic() - ending < 2
        assert longest < 1
        # Once, and not with every attempt.
        told = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.getMessage() for record in told] == [
            "the collector of traces does not take spans; they are lost, and nothing else is"
        ]


def test_a_collector_that_comes_back_is_told_once(collector, caplog):
    caplog.set_level(logging.INFO, "workers.spans")
    collector.status = 400
    with traces(settings_for(), "test"):
        with tracing.span("early"):
            pass
        deadline = time.monotonic() + 10
        while not caplog.records:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        collector.status = 200
        with tracing.span("late"):
            pass
        collector.named("late")
    assert [r.getMessage().split(";")[0] for r in caplog.records if r.name == "workers.spans"] == [
        "the collector of traces does not take spans",
        "the collector of traces takes spans again",
    ]


def test_what_is_left_is_sent_at_the_end(collector, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    with traces(settings_for(), "test"), tracing.span("last"):
        assert tracing.tracer is not None
    assert tracing.tracer is None
    assert [span.name for span in collector.spans] == ["last"]


def test_an_error_is_told_by_its_class(collector):
    with traces(settings_for(), "test"), pytest.raises(ValueError, match="Doe"), tracing.span("failing"):
        raise ValueError("Doe^Jane cannot be stored")
    [span] = collector.spans
    assert (span.is_error, span.attributes["error.type"], span.events) == (True, "ValueError", 0)
    assert b"Doe" not in b"".join(collector.bodies)


def test_a_transaction_tells_its_retries_and_why_it_failed(collector, intake):
    attempts = []

    def conflicting(cursor):
        attempts.append(1)
        if len(attempts) < 3:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")

    with traces(settings_for(), "test"), tracing.span("both"):
        intake.database.run("conflicting", conflicting)
        with pytest.raises(DatabaseRefused):
            intake.database.run("wrong", lambda cursor: cursor.execute("SELECT 1/0"))
    retries, code = "orthanc_cluster.retries", "db.response.status_code"
    conflicting, wrong = (collector.named(f"transaction {name}").attributes for name in ("conflicting", "wrong"))
    assert (conflicting[retries], conflicting.get(code)) == (2, None)
    assert (wrong[retries], wrong[code]) == (0, "22012")


def test_sampler_of_the_environment(collector, monkeypatch, intake):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with traces(settings_for(), "test"):
        store(intake)
    assert collector.spans == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, None),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and only http/protobuf is served",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "0"},
            "OpenTelemetry does not start",
        ),
    ],
)
def test_off(variables, told, monkeypatch, caplog):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with traces(settings_for(), "test"):
        assert tracing.tracer is None
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (told is not None)
    assert told is None or told in messages[0]


def test_without_the_extra_a_person_is_told_how_to_get_it(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "workers.spans", raising=False)
    with traces(settings_for(), "test"):
        assert tracing.tracer is None
    assert "pip install 'orthanc-cluster[otel]'" in caplog.text


def test_off_an_instance_calls_nothing_of_it(place):
    called = []

    def watch(frame, event, argument):
        if event == "call" and (
            "tracing.py" in frame.f_code.co_filename or "opentelemetry" in frame.f_code.co_filename
        ):
            called.append(frame.f_code.co_name)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        with (
            closing(open_intake(settings_for(*place))) as intake,
            intake.receive(ORIGIN) as reception,
        ):
            reception.write(make_file())
            assert reception.commit().status == "Success"
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert called == []


def test_off_nothing_of_it_is_imported():
    program = "import sys, workers.node; sys.exit(any('opentelemetry' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
