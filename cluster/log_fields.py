"""Names of log fields, declared once.

Apart from the metrics: a process of several has to log before it may import those
(`cluster.config.share_metrics_between_processes`).
"""

from enum import StrEnum


class LogField(StrEnum):
    """Keys of a log line in JSON. The second group is there where it applies (`workers.logs.bind`)."""

    TIME = "time"
    """RFC 3339, UTC, milliseconds."""
    LEVEL = "level"
    """debug, info, warning, error, critical."""
    LOGGER = "logger"
    MESSAGE = "message"
    NODE = "node"
    PROCESS = "process"
    THREAD = "thread"
    TRACEBACK = "traceback"
    STACK = "stack"

    ASSOCIATION = "association"
    """Number of a DICOM association of this process."""
    PEER = "peer"
    """AE title and address of who sends, or the address alone."""
    TASK = "task"
    """Id of a Celery task."""
    REQUEST = "request"
    """Id of an HTTP request."""
