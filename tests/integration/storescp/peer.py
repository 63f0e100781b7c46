"""A peer that says exactly what a test tells it to, right or wrong."""

import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from workers.upper_layer import command_set, pdu
from workers.upper_layer.proposal import encode_request, propose

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CONTEXTS = ((CT, (EXPLICIT,)), (VERIFICATION, (IMPLICIT,)))


def association_request(called_aet: str = "ORTHANC", maximum_length: int = 16384) -> bytes:
    return encode_request(
        propose(CONTEXTS), called_aet=called_aet, calling_aet="SCRIPTED", maximum_length=maximum_length
    )


def value(fragment: bytes, control: int, context_id: int = 1) -> bytes:
    return struct.pack(">IBB", len(fragment) + 2, context_id, control) + fragment


def data(*values: bytes) -> bytes:
    body = b"".join(values)
    return struct.pack(">BxI", pdu.P_DATA_TF, len(body)) + body


def store_command(sop_instance_uid: str = "1.2.3") -> bytes:
    return command_set.store_request(1, CT, sop_instance_uid)


def as_command(command: bytes, command_field: int) -> bytes:
    """Return `command` with another command field."""
    start = command.index(struct.pack("<HHI", 0, 0x0100, 2)) + 8
    return command[:start] + struct.pack("<H", command_field) + command[start + 2 :]


class Peer:
    """A raw connection; `replies` are whole PDUs."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, *pieces: bytes) -> Self:
        self.socket.sendall(b"".join(pieces))
        return self

    def associate(self) -> Self:
        self.send(association_request())
        reply = self.reply()
        assert reply[0] == pdu.A_ASSOCIATE_AC
        return self

    def reply(self) -> bytes:
        """Return the next PDU, or nothing if the other side has closed the connection in order."""
        header = self._reader.read(pdu.HEADER_BYTES)
        if not header:
            return b""
        return header + self._reader.read(int.from_bytes(header[2:6], "big"))

    def response(self) -> command_set.CommandSet:
        """Return the next PDU's command set."""
        reply = self.reply()
        assert reply[0] == pdu.P_DATA_TF
        return command_set.decode(reply[pdu.HEADER_BYTES + pdu.VALUE_HEADER_BYTES :])

    def statuses(self, count: int) -> Sequence[int | None]:
        return [self.response().status for _ in range(count)]
