"""A collector of traces: an HTTP server that takes OTLP and decodes it with OpenTelemetry's own protocol classes."""

import gzip
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it came over the wire; ids in hexadecimal, `links` are ids of spans, times in seconds."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    resource: dict[str, Any]
    is_error: bool
    events: int
    started: float
    ended: float


class Collector:
    """Context manager: listens on loopback, at `url`."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.bodies: list[bytes] = []
        self.status = 200
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                answer = collector._take(body)
                self.send_response(collector.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, body: bytes) -> bytes:
        if self.status == 200:
            with self._changed:
                self.bodies.append(body)
                self.spans.extend(_decoded(body))
                self._changed.notify_all()
        return ExportTraceServiceResponse().SerializeToString()

    def wait_for(self, condition: Callable[[Sequence[ReceivedSpan]], Any], seconds: float = 20) -> Any:
        """What the condition says of the spans as soon as that is true."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (found := condition(self.spans)):
                left = deadline - time.monotonic()
                assert left > 0, f"waited in vain; there are {sorted({span.name for span in self.spans})}"
                self._changed.wait(left)
            return found

    def named(self, name: str, seconds: float = 20) -> ReceivedSpan:
        """The first span of that name, once it is there."""
        found: ReceivedSpan = self.wait_for(lambda spans: next((s for s in spans if s.name == name), None), seconds)
        return found

    def children(self, parent: ReceivedSpan) -> dict[str, ReceivedSpan]:
        """Those that have come so far, by name."""
        with self._changed:
            return {span.name: span for span in self.spans if span.parent_id == parent.span_id}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _decoded(body: bytes) -> list[ReceivedSpan]:
    return [
        ReceivedSpan(
            span.name,
            span.kind,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            tuple(link.span_id.hex() for link in span.links),
            _values(span.attributes),
            _values(of_resource.resource.attributes),
            span.status.code == 2,
            len(span.events),
            span.start_time_unix_nano / 1e9,
            span.end_time_unix_nano / 1e9,
        )
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}
