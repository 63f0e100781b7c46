"""Every error that this project raises on purpose, in one tree.

::

    ClusterError
    ├── Transient                  try the whole unit of work again: the same input may succeed
    │   ├── SerializationConflict      another transaction was in the way (40001, 40P01)
    │   ├── LockNotAvailable           a lock was not obtained in time (55P03)
    │   ├── UpgradeUnderWay            another node upgrades the schema
    │   ├── NodesInTheWay              live nodes cannot serve what the schema would become
    │   ├── DatabaseUnavailable        no connection, or lost before COMMIT was sent (08xxx, 57Pxx, 53300)
    │   ├── AccessRefused              the server lets us not in: password, certificate, pg_hba.conf, missing database
    │   ├── CommitUnknown              connection lost after COMMIT was sent: it may or may not have happened
    │   ├── ReadOnlyServer             the server became a standby (25006)
    │   ├── NodeBusy                   this node has no room for the request, or is draining
    │   ├── StorageUnavailable         the storage area does not answer
    │   └── BrokerUnavailable          Celery's broker does not answer
    └── Permanent                  do not try again: somebody has to change something
        ├── ConfigurationError         a setting is wrong; names its path
        ├── DatabaseRefused            the server answered no: password, privilege, missing database, SQL error
        ├── SchemaMismatch             the database holds something other than revision 10
        ├── StorageFull                no space for the bytes of an instance, or on the database server's disk (53100)
        ├── StorageFailed              the storage area failed otherwise
        ├── OfficeLost                 another process has been elected for what this one was about to do
        ├── UnknownResource            no such resource or attachment
        ├── RevisionConflict           somebody else changed what was to be changed
        ├── UnusableQuery              a search asks for what cannot be searched for
        ├── NotServedHere              something that only another index or storage area can do
        └── BadDicom                   the sender's data cannot be stored
            ├── NotDicom                   not a DICOM file at all
            ├── TruncatedDicom             ends before it should
            ├── MissingIdentifier          one of the three UIDs is absent or empty
            ├── UnusableIdentifier         an identifier that the index cannot hold
            └── ReferenceMismatch          data set and C-STORE request name different instances

A leaf is one or the other; nothing else decides about a retry.
"""


class ClusterError(Exception):
    """Root of the tree; never raised itself."""


class Transient(ClusterError):
    """The same work may succeed if it is done again as a whole."""


class SerializationConflict(Transient):
    """PostgreSQL rolled the transaction back because of another one (serialization failure, deadlock)."""


class LockNotAvailable(Transient):
    """A lock was not obtained within lock_timeout."""


class UpgradeUnderWay(Transient):
    """Another node upgrades the schema; the message says how far it is."""


class NodesInTheWay(Transient):
    """The schema cannot change now: nodes that are alive could not serve it afterwards."""


class DatabaseUnavailable(Transient):
    """No connection to PostgreSQL could be had, or it broke while nothing was committed."""


class AccessRefused(Transient):
    """The server answers and lets us not in; somebody has to change something there or here.

    Transient all the same: passwords are changed on running systems, and what arrives meanwhile should come again. Who
    starts with it gives up after MaximumConnectionRetries.
    """


class CommitUnknown(Transient):
    """The connection broke after COMMIT was sent, so the transaction may have happened.

    Running the same work again is safe because public ids and attachment UUIDs stay the same; deleting the files
    of the work is not.
    """


class ReadOnlyServer(Transient):
    """The server takes no writes: it is a standby, or became one."""


class NodeBusy(Transient):
    """This node cannot take the request now: no room, not ready, or draining."""


class StorageUnavailable(Transient):
    """The storage area cannot be reached, or is overloaded."""


class BrokerUnavailable(Transient):
    """Celery's broker (Redis) does not answer."""


class Permanent(ClusterError):
    """The same work would fail again."""


class ConfigurationError(Permanent):
    """A setting is wrong.

    `path` is what the operator has to look for, as in ``PostgreSQL.IndexConnectionsCount``.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class DatabaseRefused(Permanent):
    """PostgreSQL answered with an error that will not go away by itself; `sqlstate` says which."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class SchemaMismatch(Permanent):
    """The database is not what this program can serve; the message names what was found and what is wanted."""


class OfficeLost(Permanent):
    """Another process has been elected, so this one must not do what it was about to do; nothing has happened."""


class StorageFull(Permanent):
    """The storage area has no space (or quota) left for the bytes, or the database server's disk none for rows.

    The message says which of the two.
    """


class StorageFailed(Permanent):
    """The storage area failed in another way than being full."""


class UnknownResource(Permanent):
    """No resource or attachment of that id."""


class RevisionConflict(Permanent):
    """Metadata or an attachment is not, or no longer, what the writer takes it for."""


class UnusableQuery(Permanent):
    """A search asks for something that cannot be searched for; the message says for what."""


class NotServedHere(Permanent):
    """What was asked for needs another kind of index than the one configured (SQLite or PostgreSQL)."""


class BadDicom(Permanent):
    """What the sender gave cannot be stored, now or ever; the message says what is wrong with it."""


class NotDicom(BadDicom):
    """Not a DICOM Part 10 file, or not a data set in the transfer syntax it claims."""


class TruncatedDicom(BadDicom):
    """An element announces more bytes than there are."""


class MissingIdentifier(BadDicom):
    """StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID is absent or empty."""


class UnusableIdentifier(BadDicom):
    """An identifier cannot be indexed, such as a PatientID of more than 256 bytes of UTF-8."""


class ReferenceMismatch(BadDicom):
    """SOP class or instance UID of the data set differ from those of the C-STORE request (PS3.4 B.2.3)."""
