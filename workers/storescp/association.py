"""One association as acceptor, from the transport connection to its end, in one thread (PS3.8 section 9.2)."""

import itertools
import logging
import socket
import ssl
import time

from cluster import telemetry, tracing
from cluster.dicom.status import CANNOT_UNDERSTAND, SOP_CLASS_NOT_SUPPORTED, SUCCESS, UNRECOGNIZED_OPERATION
from cluster.ingest.origin import Origin
from workers.logs import bind
from workers.storescp import c_store
from workers.storescp.admission import Admission
from workers.storescp.permissions import RIGHTS
from workers.storescp.policy import ARTIM_SECONDS, Policy, Refusal
from workers.upper_layer import command_set, pdu
from workers.upper_layer.acceptance import AcceptedContext, AssociationRequest, accept, decode_request
from workers.upper_layer.command_set import CommandSet
from workers.upper_layer.failures import (
    UNEXPECTED_PDU,
    UNEXPECTED_PDU_PARAMETER,
    AssociationEnded,
    Forbidden,
    Interrupted,
    PeerAborted,
    ProtocolViolation,
    Released,
    TimedOut,
)
from workers.upper_layer.messages import MessageReader
from workers.upper_layer.stream import PduStream

log = logging.getLogger(__name__)

_RELEASE_SECONDS = 2.0
_numbers = itertools.count(1)


class Association:
    """Serves one peer; `run` is the body of a thread and never raises.

    `drain` and `stop` may be called from other threads.
    """

    def __init__(
        self,
        connection: socket.socket,
        peer_ip: str,
        policy: Policy,
        admission: Admission,
        intake: c_store.Intake,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._peer_ip = peer_ip
        self._policy = policy
        self._admission = admission
        self._intake = intake
        self._stream = PduStream(
            connection,
            maximum_length=policy.maximum_pdu_length,
            patience_seconds=policy.timeout_seconds or ARTIM_SECONDS,
            tls=tls,
        )
        self._calling_aet = ""
        self._established = False
        self._contexts: dict[int, AcceptedContext] = {}
        self._peer_maximum_length = 0
        self._origin = Origin("DicomProtocol")
        self._instances = 0

    def drain(self) -> None:
        """Ask for the end of the association as soon as no object is under way."""
        self._stream.interrupt_when_idle = True

    def stop(self) -> None:
        """Ask for the end of the association now, by A-ABORT if need be."""
        self._stream.interrupt_now = True

    @property
    def peer_ip(self) -> str:
        """The address of the other side."""
        return self._peer_ip

    def disconnect(self) -> None:
        """Cut the connection: for a peer that keeps the thread in a send."""
        self._stream.disconnect()

    def run(self) -> None:
        """Serve the peer until the association has ended, and close the connection."""
        with bind(association=str(next(_numbers)), peer=self._peer_ip):
            self._run()

    def _run(self) -> None:
        farewell = b""
        try:
            self._shake_hands()
            farewell = self._negotiate()
            if not farewell:
                try:
                    self._serve()
                finally:
                    self._admission.leave(self._peer_ip)
        except AssociationEnded as end:
            with bind(peer=self._peer):
                farewell = self._end(end)
        except Exception:  # a mistake of ours must not take more than this association
            log.exception("association with %s ended by an unexpected error", self._peer)
            farewell = pdu.abort_by_user()
        finally:
            self._stream.close(farewell)

    @property
    def _peer(self) -> str:
        return f"{self._calling_aet or 'unknown AE'} ({self._peer_ip})"

    def _shake_hands(self) -> None:
        try:
            self._stream.handshake(self._policy.timeout_seconds or ARTIM_SECONDS)
        except AssociationEnded:
            telemetry.association_rejections.labels("tls_handshake").inc()
            raise

    def _negotiate(self) -> bytes:
        """Receive the request and answer it; return the A-ASSOCIATE-RJ if it is refused, else nothing."""
        request = self._receive_request()
        self._calling_aet = request.calling_aet
        refusal = self._policy.refusal(request, self._peer_ip)
        if refusal is None:
            # Before the place is taken: a request that cannot be answered must not keep one.
            answer, self._contexts = accept(request, self._policy.choose, self._policy.maximum_pdu_length)
            refusal = self._admission.enter(self._peer_ip)
        if refusal is not None:
            return self._refuse(refusal)
        try:
            self._stream.patience_seconds = self._policy.timeout_seconds
            self._peer_maximum_length = request.maximum_length
            self._origin = Origin("DicomProtocol", request.calling_aet, self._peer_ip, request.called_aet)
            self._stream.send((answer,))
            self._established = True
        except BaseException:
            self._admission.leave(self._peer_ip)
            raise
        return b""

    def _receive_request(self) -> AssociationRequest:
        pdu_type, body = self._stream.read(idle=True)
        if pdu_type == pdu.A_ASSOCIATE_RQ:
            return decode_request(body)
        if pdu_type == pdu.A_ABORT:
            raise PeerAborted(body[2], body[3])
        raise ProtocolViolation(UNEXPECTED_PDU, f"PDU of type {pdu_type} before A-ASSOCIATE-RQ")

    def _refuse(self, refusal: Refusal) -> bytes:
        telemetry.association_rejections.labels(refusal.label).inc()
        log.warning("association of %s rejected: %s", self._peer, refusal.label)
        return pdu.reject(refusal.rejection)

    def _serve(self) -> None:
        """Answer messages until the association ends, which is always by an exception."""
        with bind(peer=self._peer):
            self._answer_all()

    def _answer_all(self) -> None:
        messages = MessageReader(self._stream, self._contexts)
        serve_c_store = self._c_store if tracing.tracer is None else self._traced_c_store
        while not self._stream.interrupt_when_idle:
            context_id, request = messages.command()
            self._check_right(request)
            if request.command_field == command_set.C_STORE_RQ:
                serve_c_store(messages, context_id, request)
                continue
            if request.has_data_set:
                for _ in messages.data_set(context_id):
                    pass
            if request.command_field == command_set.C_ECHO_RQ:
                self._respond("C-ECHO", context_id, request, SUCCESS)
            elif request.command_field & command_set.RESPONSE:
                raise ProtocolViolation(UNEXPECTED_PDU_PARAMETER, "a DIMSE response to a request that was never made")
            elif request.command_field != command_set.C_CANCEL_RQ:
                log.warning("DIMSE command 0x%04X of %s is not served", request.command_field, self._peer)
                self._respond("other", context_id, request, UNRECOGNIZED_OPERATION)
        raise Interrupted("this node drains")

    def _check_right(self, request: CommandSet) -> None:
        """Raise Forbidden for a request that this peer may not make: Orthanc too answers with an A-ABORT."""
        right = RIGHTS.get(request.command_field)
        if right is not None and not self._policy.permissions.allows(right, self._calling_aet, self._peer_ip):
            raise Forbidden(f"{right.value} does not hold for this AE title and host (DicomModalities)")

    def _traced_c_store(self, messages: MessageReader, context_id: int, request: CommandSet) -> None:
        attributes = {
            "dicom.calling_ae_title": self._calling_aet,
            "dicom.sop_class_uid": request.sop_class_uid,
            "network.peer.address": self._peer_ip,
        }
        with tracing.span("C-STORE", attributes, kind="server") as span:
            status = self._c_store(messages, context_id, request)
            span.set("dicom.status", f"0x{status:04X}")
            if status != SUCCESS:
                span.fail(f"0x{status:04X}")

    def _c_store(self, messages: MessageReader, context_id: int, request: CommandSet) -> int:
        """Serve one request; the status of the answer."""
        context = self._contexts[context_id]
        fragments = messages.data_set(context_id) if request.has_data_set else iter(())
        status, comment = CANNOT_UNDERSTAND, ""
        if context.abstract_syntax == command_set.VERIFICATION:
            status, comment = SOP_CLASS_NOT_SUPPORTED, "C-STORE on a verification context"
        elif not request.sop_class_uid or not request.sop_instance_uid:
            comment = "request without SOP class or instance UID"
        elif not request.has_data_set:
            comment = "request without a data set"
        else:
            status, comment = c_store.store(self._intake, self._origin, request, context.transfer_syntax, fragments)
            outcome = "stored" if status == SUCCESS else "not_stored"
            telemetry.peer_instances.labels(telemetry.peer_label(self._calling_aet), outcome).inc()
        for _ in fragments:
            pass
        self._instances += status == SUCCESS
        answering = time.monotonic()
        self._respond("C-STORE", context_id, request, status, comment)
        telemetry.end_phase("answer", answering)
        return status

    def _respond(self, service: str, context_id: int, request: CommandSet, status: int, comment: str = "") -> None:
        response = command_set.response(request, status, comment)
        self._stream.send(pdu.message(context_id, response, None, self._peer_maximum_length))
        telemetry.dimse_responses.labels(service, f"0x{status:04X}").inc()

    def _end(self, end: AssociationEnded) -> bytes:
        """Write the one log line about the end and return the PDU that says good-bye."""
        if isinstance(end, Released):
            log.info("association of %s released after %d instances", self._peer, self._instances)
            return pdu.RELEASE_RP
        level = logging.INFO if isinstance(end, Interrupted) else logging.WARNING
        log.log(level, "association of %s ended after %d instances: %s", self._peer, self._instances, end)
        if isinstance(end, Interrupted) and self._established:
            return pdu.abort_by_user() if self._stream.interrupt_now else self._release()
        if isinstance(end, ProtocolViolation):
            # Who breaks the rules before an association exists gets the user's A-ABORT (PS3.8 table 9-10, AA-1).
            return pdu.abort_by_provider(end.reason) if self._established else pdu.abort_by_user()
        if isinstance(end, (TimedOut, Forbidden)) and self._established:
            return pdu.abort_by_user()
        return b""

    def _release(self) -> bytes:
        """Ask the peer for release; return the A-ABORT if it does not agree soon."""
        self._stream.interrupt_when_idle = False
        self._stream.patience_seconds = _RELEASE_SECONDS
        deadline = time.monotonic() + _RELEASE_SECONDS
        try:
            self._stream.send((pdu.RELEASE_RQ,))
            while time.monotonic() < deadline:
                pdu_type, _ = self._stream.read()
                if pdu_type in (pdu.A_RELEASE_RP, pdu.A_ABORT):
                    return b""
                if pdu_type == pdu.A_RELEASE_RQ:  # collision: both sides answer (PS3.8 table 9-9, AR-8 and AR-9)
                    self._stream.send((pdu.RELEASE_RP,))
        except AssociationEnded:
            log.debug("%s did not agree to a release", self._peer)
        return pdu.abort_by_user()
