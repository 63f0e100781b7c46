"""Whether this process traces: OpenTelemetry's own environment variables say so, and nothing else.

They name the collector (``OTEL_EXPORTER_OTLP_ENDPOINT``), the sampler, the size of the queue. A variable that does not
suit us never keeps an archive from starting: it may have been set for all pods of a namespace.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from cluster import tracing
from cluster.config import Settings, tracing_variables

_LOG = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"


@contextlib.contextmanager
def traces(settings: Settings, role: str) -> Iterator[None]:
    """Trace within the block, if it is wanted; afterwards what is left is sent, for a bounded time."""
    begin(settings, role)
    try:
        yield
    finally:
        end()


def begin(settings: Settings, role: str) -> None:
    """Trace from now on, if it is wanted; to be called after fork."""
    # Of the parent, whose thread did not come along.
    tracing.use(None)
    variables = tracing_variables()
    endpoint = next((variables[name] for name in _ENDPOINTS if name in variables), None)
    if endpoint is None or _is_off(variables):
        return
    protocol = next((variables[name] for name in _PROTOCOLS if name in variables), _PROTOCOL)
    if protocol != _PROTOCOL:
        _LOG.warning("no traces: OTEL_EXPORTER_OTLP_PROTOCOL is %s, and only %s is served", protocol, _PROTOCOL)
        return
    try:
        from workers.spans import open_tracer  # only here: a process that does not trace does not hold it

        tracing.use(open_tracer(settings.cluster.node_name, role))
    except ImportError as error:
        _LOG.warning(
            "no traces to %s: they need the extra otel: pip install 'orthanc-cluster[otel]' (%s)",
            _place(endpoint),
            error,
        )
        return
    except Exception as error:
        _LOG.warning("no traces: OpenTelemetry does not start: %s: %s", type(error).__name__, error)
        return
    _LOG.info("traces go to %s", _place(endpoint))


def end() -> None:
    """Trace no longer, and send what is left."""
    tracer = tracing.tracer
    tracing.use(None)
    if tracer is not None:
        tracer.close()


def _place(endpoint: str) -> str:
    """Host and port only: a URL may hold a password, or a key in its query."""
    try:
        parts = urlsplit(endpoint)
        return f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
    except ValueError:
        return "an endpoint that is no URL"


def _is_off(variables: Mapping[str, str]) -> bool:
    disabled = variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or variables.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none"
