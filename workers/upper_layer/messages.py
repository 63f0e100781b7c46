"""DIMSE messages out of P-DATA-TF PDUs (PS3.8 section 9.3.5 and annex E), without a copy of the data set.

A message is one command set, and then a data set if the command says so; both come in fragments (presentation data
values) that senders pack as they like: several in one PDU, command and data together, fragments of no bytes.
"""

import struct
from collections.abc import Container, Iterator

from workers.upper_layer import pdu
from workers.upper_layer.command_set import CommandSet, decode
from workers.upper_layer.failures import (
    INVALID_PDU_PARAMETER,
    UNEXPECTED_PDU,
    UNEXPECTED_PDU_PARAMETER,
    PeerAborted,
    ProtocolViolation,
    Released,
)
from workers.upper_layer.stream import PduStream

MAXIMUM_COMMAND_BYTES = 64 * 1024

_VALUE_HEADER = struct.Struct(">IBB")


class MessageReader:
    """Reads messages from `stream` whose presentation context is in `context_ids`.

    Every method raises AssociationEnded: Released, PeerAborted and ProtocolViolation by itself, the others from the
    stream.
    """

    def __init__(self, stream: PduStream, context_ids: Container[int]) -> None:
        self._stream = stream
        self._context_ids = context_ids
        self._body = memoryview(b"")
        self._offset = 0

    def command(self) -> tuple[int, CommandSet]:
        """Wait for the next message and return its presentation context id and command set.

        If the command set says so, `data_set` has to be exhausted before the next call.
        """
        context_id, control, fragment = self._value(idle=True)
        if control & pdu.COMMAND and control & pdu.LAST:
            return context_id, decode(fragment)
        collected = bytearray(fragment)
        while True:
            if not control & pdu.COMMAND:
                raise ProtocolViolation(UNEXPECTED_PDU_PARAMETER, "data set where a command set should be")
            if len(collected) > MAXIMUM_COMMAND_BYTES:
                raise ProtocolViolation(INVALID_PDU_PARAMETER, f"command set of over {MAXIMUM_COMMAND_BYTES} bytes")
            if control & pdu.LAST:
                return context_id, decode(collected)
            next_context_id, control, fragment = self._value()
            if next_context_id != context_id:
                raise ProtocolViolation(UNEXPECTED_PDU_PARAMETER, "command set on two presentation contexts")
            collected += fragment

    def data_set(self, context_id: int) -> Iterator[memoryview]:
        """Yield the fragments of the data set as they arrive; each is valid until the next is asked for."""
        control = 0
        while not control & pdu.LAST:
            fragment_context_id, control, fragment = self._value()
            if control & pdu.COMMAND or fragment_context_id != context_id:
                raise ProtocolViolation(UNEXPECTED_PDU_PARAMETER, "another message in the middle of a data set")
            if fragment:
                yield fragment

    def _value(self, *, idle: bool = False) -> tuple[int, int, memoryview]:
        """Return presentation context id, message control header and fragment of the next presentation data value."""
        if self._offset == len(self._body):
            self._body = self._data(idle)
            self._offset = 0
        available = len(self._body) - self._offset
        if available < pdu.VALUE_HEADER_BYTES:
            raise ProtocolViolation(INVALID_PDU_PARAMETER, f"{available} stray bytes at the end of a P-DATA-TF PDU")
        length, context_id, control = _VALUE_HEADER.unpack_from(self._body, self._offset)
        if not 2 <= length <= available - 4:
            raise ProtocolViolation(INVALID_PDU_PARAMETER, f"value of {length} bytes where its PDU has {available - 4}")
        if context_id not in self._context_ids:
            raise ProtocolViolation(INVALID_PDU_PARAMETER, f"presentation context {context_id} was not accepted")
        begin = self._offset + pdu.VALUE_HEADER_BYTES
        self._offset += 4 + length
        return context_id, control, self._body[begin : self._offset]

    def _data(self, idle: bool) -> memoryview:
        """Return the body of the next PDU, which has to be a P-DATA-TF."""
        pdu_type, body = self._stream.read(idle=idle)
        if pdu_type == pdu.P_DATA_TF:
            return body
        if pdu_type == pdu.A_RELEASE_RQ:
            raise Released
        if pdu_type == pdu.A_ABORT:
            raise PeerAborted(body[2], body[3])
        raise ProtocolViolation(UNEXPECTED_PDU, f"PDU of type {pdu_type} on an established association")
