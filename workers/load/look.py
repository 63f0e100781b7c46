"""Looks at a door before anything is sent."""

from cluster.errors import ConfigurationError
from workers.load.options import LoadOptions
from workers.load.sender import presentation_contexts
from workers.load.targets import Target
from workers.load.transports import HttpTransport
from workers.storescu import Association, AssociationEnded

_LOOK_SECONDS = 5.0
_MOST_CONTEXTS = 128


def look_at_target(options: LoadOptions, target: Target) -> None:
    """Raises ConfigurationError if the door is closed, refuses us, or does not take what will be sent."""
    if target.url:
        transport = HttpTransport(target, _LOOK_SECONDS, options.credentials)
        if reason := transport.open():
            raise ConfigurationError("--target", f"{target}: {reason}")
        transport.close()
        return
    wanted = presentation_contexts(options.size, options.files)
    if len(wanted) > _MOST_CONTEXTS:
        raise ConfigurationError(
            "--files",
            f"hold {len(wanted)} pairs of SOP class and transfer syntax, and an association has room for"
            f" {_MOST_CONTEXTS}: send them in several runs",
        )
    try:
        association = Association.request(
            target.host,
            target.port,
            called_aet=options.aet,
            calling_aet=options.calling_aet,
            contexts=wanted,
            timeout_seconds=_LOOK_SECONDS,
            tls=options.tls.context() if options.tls is not None else None,
        )
    except AssociationEnded as error:
        raise ConfigurationError("--target", f"{target}: {error}") from error
    association.release()
    refused = {(sop_class, syntax) for sop_class, (syntax,) in wanted} - association.accepted
    if refused:
        sop_class, syntax = min(refused)
        raise ConfigurationError("--target", f"{target} does not take SOP class {sop_class} in {syntax}")
