"""One association as requestor, for senders that want many instances through few system calls."""

import contextlib
import socket
import ssl
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from workers.upper_layer import command_set, pdu
from workers.upper_layer.failures import (
    UNEXPECTED_PDU_PARAMETER,
    AssociationEnded,
    ConnectionLost,
    NotNegotiated,
    ProtocolViolation,
    Released,
)
from workers.upper_layer.messages import MessageReader
from workers.upper_layer.proposal import Agreement, decode_answer, encode_request, propose
from workers.upper_layer.stream import PduStream

_MESSAGE_IDS = 0xFFFF
_HANDSHAKE_SECONDS = 30.0
"""Where `timeout_seconds` is 0."""
_SMALLEST_PDU, _PDUS_A_SECOND = 512, 8
"""Of a slow sender."""


class Association:
    """An established association; `request` makes one. For one thread at a time.

    Every method that waits for the peer raises AssociationEnded (connection lost, aborted, released, timed out, not
    the protocol); the association is closed then. As a context manager it releases at the end, and aborts after an
    exception.
    """

    def __init__(self, stream: PduStream, agreement: Agreement) -> None:
        self._stream = stream
        self._agreement = agreement
        self._messages = MessageReader(stream, agreement.contexts)
        self._context_ids = {context: context_id for context_id, context in agreement.contexts.items()}
        self._message_id = 0
        self._open = True

    @classmethod
    def request(
        cls,
        host: str,
        port: int,
        *,
        called_aet: str,
        calling_aet: str,
        contexts: Sequence[tuple[str, Sequence[str]]],
        timeout_seconds: float = 30.0,
        maximum_pdu_length: int = pdu.DEFAULT_MAXIMUM_LENGTH,
        tls: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect and negotiate; `contexts` are pairs of abstract syntax and transfer syntaxes, at most 128.

        `timeout_seconds` is for the connection and then for every wait, `maximum_pdu_length` what we announce, `tls`
        the context of a client.

        Raises AssociationRejected, another AssociationEnded, or ValueError for an impossible request.
        """
        proposed = propose(contexts)
        encoded = encode_request(
            proposed, called_aet=called_aet, calling_aet=calling_aet, maximum_length=maximum_pdu_length
        )
        try:
            connection = socket.create_connection((host, port), timeout_seconds or None)
        except OSError as error:
            raise ConnectionLost(f"cannot connect to {host} port {port}: {error.strerror or error}") from error
        stream = PduStream(
            connection,
            maximum_length=maximum_pdu_length,
            patience_seconds=timeout_seconds,
            tls=tls,
            server_name=host if tls else None,
        )
        try:
            stream.handshake(timeout_seconds or _HANDSHAKE_SECONDS)
            stream.send((encoded,))
            agreement = decode_answer(proposed, *stream.read())
        except BaseException as error:
            stream.close(_farewell(error))
            raise
        return cls(stream, agreement)

    @property
    def accepted(self) -> frozenset[tuple[str, str]]:
        """Pairs of abstract and transfer syntax in which instances can be sent."""
        return frozenset((context.abstract_syntax, context.transfer_syntax) for context in self._context_ids)

    def store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax: str,
        data_set: bytes | memoryview | pdu.Pieces,
        *,
        bytes_per_second: float | None = None,
    ) -> int:
        """Send one instance and return the DIMSE status of the response (0 = stored).

        `data_set` is the data set alone, without file meta information; `bytes_per_second` sends it no faster, as a
        modality behind a slow line does. Raises NotNegotiated if the acceptor does not take it so.
        """
        context_id = self._context_id(sop_class_uid, transfer_syntax)
        message_id = self._next_message_id()
        command = command_set.store_request(message_id, sop_class_uid, sop_instance_uid)
        return self._ask(context_id, message_id, command_set.C_STORE_RQ, command, data_set, bytes_per_second)

    def echo(self) -> int:
        """Send a C-ECHO and return the DIMSE status of the response."""
        context_id = self._context_id(command_set.VERIFICATION)
        message_id = self._next_message_id()
        return self._ask(context_id, message_id, command_set.C_ECHO_RQ, command_set.echo_request(message_id), None)

    def release(self) -> None:
        """End the association in order; an end that the peer chose otherwise meanwhile is as good."""
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(AssociationEnded):
            self._stream.send((pdu.RELEASE_RQ,))
            while self._stream.read()[0] not in (pdu.A_RELEASE_RP, pdu.A_ABORT):
                pass
        self._stream.close()

    def abort(self) -> None:
        """End the association now by A-ABORT."""
        if self._open:
            self._open = False
            self._stream.close(pdu.abort_by_user())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.release()
        else:
            self.abort()

    def _context_id(self, abstract_syntax: str, transfer_syntax: str | None = None) -> int:
        for context, context_id in self._context_ids.items():
            if context.abstract_syntax == abstract_syntax and transfer_syntax in (None, context.transfer_syntax):
                return context_id
        raise NotNegotiated(f"the acceptor does not take SOP class {abstract_syntax} in {transfer_syntax or 'any'}")

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % _MESSAGE_IDS + 1
        return self._message_id

    def _ask(
        self,
        context_id: int,
        message_id: int,
        command_field: int,
        command: bytes,
        data_set: bytes | memoryview | pdu.Pieces | None,
        bytes_per_second: float | None = None,
    ) -> int:
        """Send a request, wait for its response and return the status."""
        if not self._open:
            raise ConnectionLost("the association is closed")
        try:
            self._send(context_id, command, data_set, bytes_per_second)
            _, response = self._messages.command()
            expected = (command_field | command_set.RESPONSE, message_id)
            if (response.command_field, response.message_id_being_responded_to) != expected or response.status is None:
                raise ProtocolViolation(UNEXPECTED_PDU_PARAMETER, "the answer belongs to another request")
        except BaseException as error:
            self._open = False
            self._stream.close(_farewell(error))
            raise
        return response.status

    def _send(
        self,
        context_id: int,
        command: bytes,
        data_set: bytes | memoryview | pdu.Pieces | None,
        bytes_per_second: float | None,
    ) -> None:
        limit = self._agreement.maximum_length
        if bytes_per_second is None:
            self._stream.send(pdu.message(context_id, command, data_set, limit))
            return
        # Small enough for several PDUs a second, so that the peer sees a slow line and no silence.
        slow_limit = min(
            limit or pdu.DEFAULT_MAXIMUM_LENGTH, max(_SMALLEST_PDU, int(bytes_per_second / _PDUS_A_SECOND))
        )
        for piece in pdu.message(context_id, command, data_set, slow_limit):
            self._stream.send((piece,))
            time.sleep(len(piece) / bytes_per_second)


def _farewell(error: BaseException) -> bytes:
    """Return the PDU that the peer gets when `error` ends the association."""
    if isinstance(error, Released):
        return pdu.RELEASE_RP
    if isinstance(error, ProtocolViolation):
        return pdu.abort_by_provider(error.reason)
    return pdu.abort_by_user()
