"""What is fuzzed, as functions of bytes: they return on every input, whatever it is, or there is a mistake.

What strangers can reach first: PDUs with the messages in them, and the header of a DICOM file.
"""

import io
import socket

from cluster.dicom.header import read_part10
from cluster.errors import ClusterError
from workers.storescp.policy import Policy
from workers.upper_layer import pdu
from workers.upper_layer.acceptance import AcceptedContext, accept, decode_request
from workers.upper_layer.failures import AssociationEnded
from workers.upper_layer.messages import MessageReader
from workers.upper_layer.stream import PduStream

_MAXIMUM_PDU_LENGTH = 4096
_CONTEXTS = {
    1: AcceptedContext("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"),
    3: AcceptedContext("1.2.840.10008.1.1", "1.2.840.10008.1.2"),
}
_SOCKET_BYTES = 60_000
"""Fits into the socket's buffer, so that one thread can be both peers."""

_MAXIMUM_AMPLIFICATION = 64


def pdus(policy: Policy, content: bytes) -> None:
    """An association as bytes: the request if there is one, then messages until it ends, which must be in order."""
    ours, theirs = _connection()
    with ours, theirs:
        theirs.sendall(content[:_SOCKET_BYTES])
        theirs.shutdown(socket.SHUT_WR)
        stream = PduStream(ours, maximum_length=_MAXIMUM_PDU_LENGTH, patience_seconds=5)
        try:
            if content[:1] == bytes((pdu.A_ASSOCIATE_RQ,)):
                _, body = stream.read(idle=True)
                accept(decode_request(body), policy.choose, _MAXIMUM_PDU_LENGTH)
            messages = MessageReader(stream, _CONTEXTS)
            while True:
                context_id, request = messages.command()
                if request.has_data_set:
                    for _ in messages.data_set(context_id):
                        pass
        except AssociationEnded as end:
            _require(str(end).isprintable(), "a log line that is not one")


def header(content: bytes) -> None:
    """A file: it has a header, or the error says why not; the error is short, and fit for a log line and a response."""
    try:
        instance = read_part10(io.BytesIO(content), len(content))
    except ClusterError as error:
        _require(len(str(error)) < 1000, "an error that is too long for a log line")
        return
    size = sum(len(tag.value) for tags in (*instance.main_tags, *instance.identifiers) for tag in tags)
    _require(size <= _MAXIMUM_AMPLIFICATION * len(content), "more text than the file can hold")


def defect(content: bytes) -> None:
    """One that breaks at its seed, to see whether that is found and told."""
    _require(not content.startswith(b"defect"), "a defect, to see whether it is found")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _connection() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection: the reader sets options that only TCP has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    return ours, theirs


def seeds(name: str) -> list[bytes]:
    """Good inputs to begin with."""
    from tests.integration.storescp.peer import association_request, data, store_command, value
    from tests.support.dicom import make_file
    from workers.upper_layer.command_set import echo_request

    if name == "defect":
        return [b"defect"]
    if name == "header":
        return [make_file(), make_file(PatientName="Müller^\x1b", PixelData=bytes(8)), *_samples()]
    store = data(value(store_command(), 3)) + data(value(b"ab" * 50, 0)) + data(value(b"cd", 2))
    echo = data(value(echo_request(1), 3, context_id=3))
    return [association_request() + echo + store + pdu.RELEASE_RQ, echo, store, store + pdu.abort_by_user()]


def _samples() -> list[bytes]:
    from pathlib import Path

    from pydicom.data import get_testdata_file

    names = ("rtplan.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm", "reportsi.dcm", "nested_priv_SQ.dcm")
    return [Path(str(get_testdata_file(name))).read_bytes()[:6000] for name in names]
