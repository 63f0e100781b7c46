"""Messages out of PDUs, packed in every way that the standard allows, and in some that it does not."""

import random
import socket
import struct
import threading

import pytest

from workers.upper_layer import command_set, pdu
from workers.upper_layer.failures import (
    ConnectionLost,
    Interrupted,
    PeerAborted,
    ProtocolViolation,
    Released,
    TimedOut,
)
from workers.upper_layer.messages import MAXIMUM_COMMAND_BYTES, MessageReader
from workers.upper_layer.stream import PduStream

Pair = tuple[socket.socket, socket.socket]

MAXIMUM_LENGTH = 4096
COMMAND = command_set.store_request(1, "1.2.840.10008.5.1.4.1.1.2", "1.2.3")


def value(fragment: bytes, control: int, context_id: int = 1) -> bytes:
    return struct.pack(">IBB", len(fragment) + 2, context_id, control) + fragment


def data(*values: bytes) -> bytes:
    body = b"".join(values)
    return struct.pack(">BxI", pdu.P_DATA_TF, len(body)) + body


def reader(far: socket.socket, patience_seconds: float = 5.0) -> MessageReader:
    stream = PduStream(far, maximum_length=MAXIMUM_LENGTH, patience_seconds=patience_seconds)
    return MessageReader(stream, {1, 3})


def received(messages: MessageReader) -> bytes:
    context_id, command = messages.command()
    assert command.sop_instance_uid == "1.2.3"
    return b"".join(bytes(fragment) for fragment in messages.data_set(context_id))


PACKINGS = {
    "a PDU each": data(value(COMMAND, 3)) + data(value(b"abcd", 2)),
    "one PDU": data(value(COMMAND, 3), value(b"ab", 0), value(b"cd", 2)),
    "command in pieces": data(value(COMMAND[:10], 1), value(COMMAND[10:20], 1))
    + data(value(COMMAND[20:], 3), value(b"abcd", 2)),
    "last command piece is empty": data(value(COMMAND, 1)) + data(value(b"", 3)) + data(value(b"abcd", 2)),
    "empty fragments": data(value(b"", 1), value(COMMAND, 3), value(b"", 0), value(b"abcd", 0)) + data(value(b"", 2)),
    "reserved control bits": data(value(COMMAND, 0xF3), value(b"abcd", 0xF2)),
}


@pytest.mark.parametrize("packed", PACKINGS.values(), ids=PACKINGS.keys())
def test_packings_make_no_difference(connection: Pair, packed: bytes) -> None:
    near, far = connection
    near.sendall(packed * 3)
    messages = reader(far)

    assert [received(messages) for _ in range(3)] == [b"abcd"] * 3


def test_random_fragments_arriving_in_random_pieces(connection: Pair) -> None:
    near, far = connection
    source = random.Random(20)
    data_sets, wire = [], b""
    for _ in range(40):
        data_set = source.randbytes(source.choice((1, 500, 9000)))
        data_sets.append(data_set)
        cuts = sorted(source.choices(range(len(data_set)), k=source.randrange(8)))
        fragments = [data_set[a:b] for a, b in zip([0, *cuts], [*cuts, len(data_set)], strict=True)]
        fragments = [part[i : i + 2000] for part in fragments for i in range(0, len(part) or 1, 2000)]
        values = [value(COMMAND, 3)]
        values += [value(part, 2 if i == len(fragments) - 1 else 0) for i, part in enumerate(fragments)]
        while values:
            taken = [values.pop(0)]
            while values and source.random() < 0.5 and sum(map(len, taken)) + len(values[0]) <= MAXIMUM_LENGTH:
                taken.append(values.pop(0))
            wire += data(*taken)

    def send() -> None:
        offset = 0
        while offset < len(wire):
            size = source.choice((1, 5, 700, 5000, 20000))
            near.sendall(wire[offset : offset + size])
            offset += size

    sender = threading.Thread(target=send)
    sender.start()
    messages = reader(far)

    assert [received(messages) for _ in data_sets] == data_sets
    sender.join()


def test_pdu_of_the_announced_length_is_taken_and_a_longer_one_is_not(connection: Pair) -> None:
    near, far = connection
    near.sendall(data(value(COMMAND, 3)) + data(value(bytes(MAXIMUM_LENGTH - 6), 2)))
    near.sendall(data(value(COMMAND, 3)) + data(value(bytes(MAXIMUM_LENGTH - 5), 2)))
    messages = reader(far)

    assert received(messages) == bytes(MAXIMUM_LENGTH - 6)
    with pytest.raises(ProtocolViolation) as violation:
        received(messages)
    assert violation.value.reason == 6


VIOLATIONS = {
    "unknown type": (b"\x08\0\0\0\0\x04\0\0\0\0", 1),
    "request again": (b"\x01\0\0\0\0\x04\0\0\0\0", 2),
    "release response": (pdu.RELEASE_RP, 2),
    "release of five bytes": (b"\x05\0\0\0\0\x05\0\0\0\0\0", 6),
    "no value": (data(), 6),
    "value longer than its PDU": (data(struct.pack(">IBB", 100, 1, 3)), 6),
    "value of one byte": (data(struct.pack(">IB", 1, 1) + b"\0"), 6),
    "stray bytes": (data(value(COMMAND[:20], 1), b"\0\0"), 6),
    "unknown context": (data(value(COMMAND, 3, context_id=5)), 6),
    "data before command": (data(value(b"abcd", 2)), 5),
    "data in the command": (data(value(COMMAND[:20], 1), value(b"abcd", 2)), 5),
    "command in the data": (data(value(COMMAND, 3), value(COMMAND, 3)), 5),
    "context changes in the command": (data(value(COMMAND[:20], 1), value(COMMAND[20:], 3, context_id=3)), 5),
    "context changes in the data": (data(value(COMMAND, 3), value(b"abcd", 2, context_id=3)), 5),
    "endless command": (data(value(bytes(4000), 1)) * (MAXIMUM_COMMAND_BYTES // 4000 + 1), 6),
}


@pytest.mark.parametrize(("wire", "reason"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_violations_have_the_right_reason(connection: Pair, wire: bytes, reason: int) -> None:
    near, far = connection
    near.sendall(wire)

    with pytest.raises(ProtocolViolation) as violation:
        received(reader(far))

    assert violation.value.reason == reason


def test_release_and_abort(connection: Pair) -> None:
    near, far = connection
    near.sendall(pdu.RELEASE_RQ + pdu.abort_by_provider(1))
    messages = reader(far)

    with pytest.raises(Released):
        messages.command()
    with pytest.raises(PeerAborted) as aborted:
        messages.command()
    assert (aborted.value.source, aborted.value.reason) == (2, 1)


@pytest.mark.parametrize("sent", [b"", b"\x04\0\0", data(value(COMMAND, 3))[:-1]])
def test_vanished_peer(connection: Pair, sent: bytes) -> None:
    near, far = connection
    near.sendall(sent)
    near.close()

    with pytest.raises(ConnectionLost):
        reader(far).command()


@pytest.mark.parametrize(("sent", "where"), [(b"", "between two messages"), (b"\x04\0\0", "in the middle")])
def test_silent_peer(connection: Pair, sent: bytes, where: str) -> None:
    near, far = connection
    near.sendall(sent)

    with pytest.raises(TimedOut, match=where):
        reader(far, patience_seconds=0.1).command()


def test_dripping_peer_runs_out_of_time(connection: Pair) -> None:
    near, far = connection
    near.sendall(data(value(COMMAND, 3))[:-1])
    stream = PduStream(far, maximum_length=MAXIMUM_LENGTH, patience_seconds=0.05)

    with pytest.raises(TimedOut):
        stream.read()


def test_interrupt_spares_a_message_under_way(connection: Pair) -> None:
    near, far = connection
    stream = PduStream(far, maximum_length=MAXIMUM_LENGTH, patience_seconds=5)
    messages = MessageReader(stream, {1})
    near.sendall(data(value(COMMAND, 3)))
    context_id, _ = messages.command()
    stream.interrupt_when_idle = True

    near.sendall(data(value(b"abcd", 2)))

    assert b"".join(bytes(fragment) for fragment in messages.data_set(context_id)) == b"abcd"
    with pytest.raises(Interrupted):
        messages.command()


def test_peer_that_takes_nothing(connection: Pair) -> None:
    _, far = connection
    stream = PduStream(far, maximum_length=MAXIMUM_LENGTH, patience_seconds=0.1)

    with pytest.raises(TimedOut, match="takes no data"):
        stream.send([bytes(1 << 20)] * 64)


def test_many_pieces_arrive_in_order(connection: Pair) -> None:
    near, far = connection
    pieces = [bytes((i % 256,)) * (i % 7) for i in range(3000)]
    stream = PduStream(far, maximum_length=MAXIMUM_LENGTH, patience_seconds=5)

    stream.send(pieces)
    far.shutdown(socket.SHUT_WR)

    with near.makefile("rb") as arrived:
        assert arrived.read() == b"".join(pieces)
