"""The steps of an upgrade are spans."""

from tests.schema.upgrading import online
from tests.support.collector import Collector
from tests.support.settings import settings_for
from workers.traces import traces


def test_each_step_is_a_span_of_its_own_duration(index, monkeypatch):
    connection = index(1)
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        with traces(settings_for(), "test"):
            done = online(connection)
    spans = [span for span in collector.spans if span.name == "schema upgrade step"]
    assert [span.attributes["orthanc_cluster.step"] for span in spans] == done
    assert {span.attributes["orthanc_cluster.phase"] for span in spans} == {"before", "switch", "after"}
    assert all(span.ended >= span.started for span in spans)
