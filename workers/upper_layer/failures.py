"""How an association can end, in one tree.

::

    AssociationEnded
    ├── Released               the peer asked for release: the normal end
    ├── PeerAborted            the peer sent A-ABORT
    ├── ConnectionLost         the transport connection is gone
    ├── TimedOut               the peer was silent for too long
    ├── Interrupted            this side wants to end it: drain or stop
    ├── Forbidden              the peer asked for what it may not do: answer A-ABORT
    ├── ProtocolViolation      the peer broke the protocol: answer A-ABORT
    └── AssociationRejected    the acceptor answered A-ASSOCIATE-RJ (requestor only)
    NotNegotiated              no presentation context for what was asked (requestor only); the association goes on

None of these is a `ClusterError`: they say what became of one connection, not of an instance. Their text is fit for one
log line.
"""

# Reasons of an A-ABORT by the service provider (PS3.8 table 9-26)
REASON_NOT_SPECIFIED = 0
UNRECOGNIZED_PDU = 1
UNEXPECTED_PDU = 2
UNEXPECTED_PDU_PARAMETER = 5
INVALID_PDU_PARAMETER = 6


class AssociationEnded(Exception):
    """The association cannot go on; the message says why."""


class Released(AssociationEnded):
    """The peer sent A-RELEASE-RQ; it waits for A-RELEASE-RP."""

    def __init__(self) -> None:
        super().__init__("the peer released the association")


class PeerAborted(AssociationEnded):
    """The peer sent A-ABORT."""

    def __init__(self, source: int, reason: int) -> None:
        super().__init__(f"the peer aborted the association (source {source}, reason {reason})")
        self.source = source
        self.reason = reason


class ConnectionLost(AssociationEnded):
    """The transport connection was closed or reset."""


class TimedOut(AssociationEnded):
    """The peer did not send (or take) what it should in time."""


class Interrupted(AssociationEnded):
    """This side asked the thread that waits for the peer to stop waiting."""


class Forbidden(AssociationEnded):
    """The configuration does not let this peer make this request."""


class ProtocolViolation(AssociationEnded):
    """The peer sent what it must not send here; `reason` is the provider reason of our A-ABORT (PS3.8 table 9-26)."""

    def __init__(self, reason: int, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AssociationRejected(AssociationEnded):
    """The acceptor refused the association; the three numbers are those of PS3.8 table 9-21."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        kind = "transient" if result == 2 else "permanent"
        super().__init__(f"association rejected ({kind}, source {source}, reason {reason})")
        self.result = result
        self.source = source
        self.reason = reason

    @property
    def transient(self) -> bool:
        """Whether the same request may be accepted later."""
        return self.result == 2


class NotNegotiated(Exception):
    """The acceptor took no presentation context with this SOP class and transfer syntax."""
