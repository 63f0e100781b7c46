"""OpenTelemetry behind `cluster/tracing.py`: spans of one process, sent over OTLP/HTTP.

Invariant: nothing here can hold an instance up. Spans wait in a queue of fixed length, from which the oldest are
dropped, and one thread sends them; whether the collector takes them is counted, and logged when that changes.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode

from cluster import telemetry
from cluster.tracing import NOTHING, Kind, Point, Span, Tracer, Value

_LOG = logging.getLogger(__name__)

_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER}
_FAREWELL_SECONDS = 2.0
"""For what is left at the end; a collector that does not answer must not outlast a pod's grace."""


def open_tracer(node: str, role: str) -> Tracer:
    """The tracer of this process; sampler, queue and collector are what OpenTelemetry's variables say."""
    resource = Resource.create(
        {
            "service.name": "orthanc-cluster",
            "service.version": version("orthanc-cluster"),
            "service.instance.id": f"{node}/{os.getpid()}",
            "orthanc_cluster.node": node,
            "orthanc_cluster.role": role,
        }
    ).merge(OTELResourceDetector().detect())
    # Their lines would come with each attempt; ours say when something has changed.
    for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.sdk.trace.export"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # It quotes a header that it cannot read, and what is in these are keys.
    logging.getLogger("opentelemetry.util.re").addFilter(_without_what_it_quotes)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_Counting(OTLPSpanExporter())))
    return _OpenTelemetry(provider)


def _without_what_it_quotes(record: logging.LogRecord) -> bool:
    record.args = ("(not shown)",)
    return True


class _Counting(SpanExporter):
    """Hands spans on, counts what became of them, and tells a person when that changes."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._works: bool | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            works = result is SpanExportResult.SUCCESS
            telemetry.spans.labels("exported" if works else "lost").inc(len(spans))
            if works != self._works and not (works and self._works is None):
                _LOG.log(
                    logging.INFO if works else logging.WARNING,
                    "the collector of traces %s",
                    "takes spans again" if works else "does not take spans; they are lost, and nothing else is",
                )
            self._works = works
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _OpenTelemetrySpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    @property
    def point(self) -> Point:
        return self._span.get_span_context() if self._span.is_recording() else None


class _OpenTelemetry:
    """A Tracer."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("orthanc-cluster", version("orthanc-cluster"))

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, Value] | None = None,
        *,
        kind: Kind = "internal",
        caller: Mapping[str, str] | None = None,
    ) -> Iterator[Span]:
        context = None if caller is None else propagate.extract(caller)
        with self._entered(self._tracer.start_span(name, context, _KINDS[kind], attributes)) as span:
            yield span

    @contextlib.contextmanager
    def together(self, name: str, points: Sequence[Point], attributes: Mapping[str, Value]) -> Iterator[Span]:
        recorded: list[SpanContext] = [point for point in points if point is not None]
        if not recorded:
            yield NOTHING
            return
        parent = trace.set_span_in_context(NonRecordingSpan(recorded[0]), Context())
        links = [Link(point) for point in recorded]
        with self._entered(self._tracer.start_span(name, parent, attributes=attributes, links=links)) as span:
            yield span

    def past(
        self,
        name: str,
        started: float,
        ended: float,
        attributes: Mapping[str, Value] | None = None,
        links: Sequence[Point] = (),
    ) -> None:
        if not trace.get_current_span().is_recording():
            return
        end = time.time_ns() - int((time.monotonic() - ended) * 1e9)
        span = self._tracer.start_span(
            name,
            attributes=attributes,
            links=[Link(point) for point in links if point is not None],
            start_time=end - int((ended - started) * 1e9),
        )
        span.end(end)

    def note(self, name: str, value: Value) -> None:
        trace.get_current_span().set_attribute(name, value)

    def point(self) -> Point:
        return _OpenTelemetrySpan(trace.get_current_span()).point

    def headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        return headers

    def close(self) -> None:
        # Its own shutdown waits for as long as the collector takes to time out.
        sender = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        sender.start()
        sender.join(_FAREWELL_SECONDS)

    @contextlib.contextmanager
    def _entered(self, span: trace.Span) -> Iterator[_OpenTelemetrySpan]:
        entered = _OpenTelemetrySpan(span)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield entered
            except BaseException as error:
                # Its class only: a text may quote a data set.
                entered.fail(type(error).__name__)
                raise
