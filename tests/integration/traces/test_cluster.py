"""Traces of a node and a worker as an operator starts them, at a collector that decodes what it gets."""

import os
import signal
import uuid

import httpx
import psycopg
import pytest

from tests.support.backstage import RoleProcess
from tests.support.collector import Collector
from tests.support.dicom import make_file
from tests.support.jobs import ended, submitted
from tests.support.nodes import NodeProcess
from tests.support.servers import new_database
from workers.import_command import import_files
from workers.storescu import Association

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
PATIENT = {"PatientName": "Wunderlich^Ottilie", "PatientID": "OW-4711", "AccessionNumber": "ACC-0815"}
SERVER, CONSUMER = 2, 5  # of the protocol's SpanKind


class Traced:
    """A node, a worker and the collector to which they send."""

    def __init__(self, collector, node, database_uri, storage):
        self.collector, self.node, self.database_uri, self.storage = collector, node, database_uri, storage

    def c_store(self, **keywords):
        """Send an instance by DIMSE; the status."""
        uid = f"2.25.{uuid.uuid4().int}"
        file = make_file(**PATIENT, SOPInstanceUID=uid, **keywords)
        data_set = file[file.index(b"\x08\x00\x16\x00UI") :]
        contexts = [(CT, [EXPLICIT])]
        with Association.request(
            "127.0.0.1", self.node.dicom_port, called_aet="ORTHANC", calling_aet="SCANNER", contexts=contexts
        ) as association:
            return association.store(CT, uid, EXPLICIT, data_set)

    def post(self, content, **headers):
        return httpx.post(f"{self.node.url}/instances", content=content, headers=headers, trust_env=False)


@pytest.fixture(scope="module")
def traced(tmp_path_factory, postgresql, schema_template, redis):
    folder = tmp_path_factory.mktemp("traced")
    storage = folder / "storage"
    storage.mkdir()
    with (
        Collector() as collector,
        new_database(postgresql, schema_template) as name,
        pytest.MonkeyPatch.context() as env,
    ):
        uri = postgresql.uri(name)
        env.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        env.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        env.setenv("OTEL_SERVICE_NAME", "archive-under-test")
        env.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=ward")
        env.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        cluster = {"RedisUrl": redis.url}
        node = NodeProcess("node", folder, uri, storage, cluster=cluster)
        worker = RoleProcess("worker", "worker", folder, uri, storage, cluster=cluster, arguments=["--processes", "1"])
        with worker, node:
            worker.wait_ready()
            yield Traced(collector, node, uri, storage)
            for process in (worker.process, node.process):
                os.kill(process.pid, signal.SIGTERM)
            for process in (worker.process, node.process):
                process.terminate(20)
            assert (node.process.returncode, worker.process.returncode) == (0, 0)


def phases(collector, parent, names):
    """The children of those names, once all are there; parts of the parent's time."""
    found = collector.wait_for(lambda _: (here := collector.children(parent)).keys() >= set(names) and here)
    for name in names:
        assert parent.started - 0.001 <= found[name].started <= found[name].ended <= parent.ended + 0.001, name
    return found


def test_where_the_time_of_a_c_store_is(traced):
    collector = traced.collector
    assert traced.c_store() == 0
    span = collector.wait_for(lambda spans: next((s for s in spans if s.name == "C-STORE" and not s.is_error), None))
    assert (span.kind, span.parent_id, span.is_error) == (SERVER, "", False)
    assert span.attributes["dicom.calling_ae_title"] == "SCANNER"
    assert span.attributes["dicom.sop_class_uid"] == CT
    assert span.attributes["dicom.status"] == "0x0000"
    assert span.attributes["orthanc_cluster.bytes"] > 128
    assert span.resource["service.name"] == "archive-under-test"
    assert span.resource["deployment.environment.name"] == "ward"
    assert span.resource["orthanc_cluster.role"] == "ingest"
    found = phases(collector, span, ["receive", "parse", "wait", "store", "answer"])
    ends = [found[name].ended for name in ("receive", "parse", "wait", "store", "answer")]
    assert ends == sorted(ends)
    batch = collector.wait_for(lambda spans: next((s for s in spans if (s.span_id,) == found["store"].links), None))
    assert batch.name == "batch"
    assert batch.links == (span.span_id,)
    assert (batch.parent_id, batch.attributes["orthanc_cluster.instances"]) == (span.span_id, 1)
    parts = phases(collector, batch, ["bytes", "rows", "commit", "transaction store_instances"])
    assert parts["transaction store_instances"].attributes["orthanc_cluster.retries"] == 0


def test_a_refusal_is_an_error_without_its_text(traced):
    assert traced.c_store(StudyInstanceUID="") != 0
    refused = lambda spans: [span for span in spans if span.name == "C-STORE" and span.is_error]  # noqa: E731
    [span] = traced.collector.wait_for(refused)
    assert span.attributes["error.type"] == span.attributes["dicom.status"] != "0x0000"


def test_an_upload_is_part_of_its_callers_trace(traced):
    trace_id, caller = uuid.uuid4().hex, "00f067aa0ba902b7"
    answer = traced.post(make_file(**PATIENT), traceparent=f"00-{trace_id}-{caller}-01", **{"X-Request-Id": "proxy-7"})
    assert answer.json()["Status"] == "Success"
    of_request = lambda spans: [span for span in spans if span.trace_id == trace_id and span.parent_id == caller]  # noqa: E731
    [span] = traced.collector.wait_for(of_request)
    assert (span.name, span.kind) == ("POST /instances", SERVER)
    assert span.attributes["http.route"] == "/instances"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["orthanc_cluster.request_id"] == answer.headers["X-Request-Id"] == "proxy-7"
    phases(traced.collector, span, ["receive", "parse", "wait", "store", "answer"])


def test_a_caller_who_does_not_record_is_respected(traced):
    trace_id = uuid.uuid4().hex
    assert traced.post(make_file(**PATIENT), traceparent=f"00-{trace_id}-00f067aa0ba902b7-00").status_code == 200
    # What came after it is there, and of it nothing.
    later = uuid.uuid4().hex
    assert traced.post(make_file(**PATIENT), traceparent=f"00-{later}-00f067aa0ba902b7-01").status_code == 200
    traced.collector.wait_for(lambda spans: any(s.trace_id == later and s.name == "POST /instances" for s in spans))
    assert not [span for span in traced.collector.spans if span.trace_id == trace_id]


def test_paths_and_probes_are_in_no_span(traced):
    study = traced.post(make_file(**PATIENT)).json()["ParentStudy"]
    for path in (
        "/livez",
        "/readyz",
        "/metrics",
        f"/studies/{study}",
        f"/studies/{study}/metadata",
        "/no/such/Ottilie",
    ):
        httpx.get(traced.node.url + path, trust_env=False)
    for name in ("GET /studies/{id}", "GET /studies/{id}/metadata", "HTTP"):
        traced.collector.named(name)
    names = {span.name for span in traced.collector.spans if span.kind == SERVER}
    assert not [name for name in names if name.endswith(("z", "/metrics"))]


def test_a_job_is_part_of_the_trace_of_who_asked_for_it(traced):
    study = traced.post(make_file(**PATIENT)).json()["ParentStudy"]
    with httpx.Client(base_url=traced.node.url, trust_env=False) as client:
        job_id = submitted(client, f"/studies/{study}/archive")
        assert ended(client, job_id)["State"] == "Success"
    request = traced.collector.named("POST /studies/{id}/archive")
    job = traced.collector.named("job Archive")
    assert (job.trace_id, job.parent_id) == (request.trace_id, request.span_id)
    assert job.resource["orthanc_cluster.role"] == "worker"
    assert job.resource["service.instance.id"] != request.resource["service.instance.id"]
    assert job.attributes["orthanc_cluster.job"] == job_id
    assert (job.attributes["orthanc_cluster.state"], job.attributes["orthanc_cluster.attempt"]) == ("Success", 1)


def test_chunks_of_an_import_are_in_the_trace_of_the_command(traced, tmp_path):
    for number in range(60):
        (tmp_path / f"{number}.dcm").write_bytes(make_file(**PATIENT, SOPInstanceUID=f"2.25.77{number}"))
    assert import_files(traced.node.settings, [tmp_path], report=tmp_path / "report") == 0
    command = traced.collector.named("import")
    tasks = traced.collector.wait_for(
        lambda spans: len(found := [s for s in spans if s.name == "task import_chunk" and s.parent_id]) >= 2 and found
    )
    for task in tasks:
        assert (task.trace_id, task.parent_id, task.kind) == (command.trace_id, command.span_id, CONSUMER)
        assert task.resource["service.instance.id"] != command.resource["service.instance.id"]
        assert task.attributes["orthanc_cluster.outcome"] == "done"
        phases(traced.collector, task, ["receive", "parse", "bytes", "rows", "commit"])


def test_housekeeping(traced):
    passed = traced.collector.named("housekeeping")
    found = phases(traced.collector, passed, ["fold_statistics", "recount_children", "remove_files"])
    phases(traced.collector, found["fold_statistics"], ["transaction fold_statistics"])


def test_no_patient_is_in_what_was_sent_of_all_this(traced):
    assert traced.c_store() == 0
    trace_id = uuid.uuid4().hex
    assert traced.post(make_file(**PATIENT), traceparent=f"00-{trace_id}-00f067aa0ba902b7-01").status_code == 200
    traced.collector.wait_for(
        lambda spans: {"C-STORE", "batch"} <= {s.name for s in spans} and any(s.trace_id == trace_id for s in spans)
    )
    everything = b"".join(traced.collector.bodies)
    with psycopg.connect(traced.database_uri) as connection:
        public_ids = [public_id for (public_id,) in connection.execute("SELECT publicId FROM Resources")]
    assert len(public_ids) >= 5
    for value in (*PATIENT.values(), "Wunderlich", "Ottilie", "2.25.", str(traced.storage), *public_ids):
        assert value.encode() not in everything
    assert not [span for span in traced.collector.spans if span.events]
