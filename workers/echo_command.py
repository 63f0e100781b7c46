"""``orthanc-cluster echo``: C-ECHO, for whoever wants to know whether a door opens."""

import sys
import time

import click

from cluster.errors import ConfigurationError
from workers.client_tls import ClientTls, tls_options
from workers.load.targets import parse_targets
from workers.storescu import Association, AssociationEnded, NotNegotiated
from workers.upper_layer.command_set import VERIFICATION
from workers.upper_layer.syntaxes import IMPLICIT_VR_LITTLE_ENDIAN


@click.command("echo")
@click.argument("target", metavar="HOST:PORT")
@click.option("--called-aet", default="ORTHANC", show_default=True, help="AE title of the node.")
@click.option("--calling-aet", default="ECHO", show_default=True, help="AE title of this side.")
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds for each wait.")
@tls_options
def echo(target: str, called_aet: str, calling_aet: str, timeout: float, tls: ClientTls | None) -> None:
    """Ask a DICOM node for a C-ECHO, over TLS if told so.

    Exit status 0: it answered with success; 1: it did not.
    """
    (door, *others) = parse_targets(target)
    if others or door.url:
        raise ConfigurationError("HOST:PORT", f"{target!r} is not one DICOM door")
    began = time.monotonic()
    try:
        with Association.request(
            door.host,
            door.port,
            called_aet=called_aet,
            calling_aet=calling_aet,
            contexts=[(VERIFICATION, [IMPLICIT_VR_LITTLE_ENDIAN])],
            timeout_seconds=timeout,
            tls=tls.context() if tls is not None else None,
        ) as association:
            status = association.echo()
    except (AssociationEnded, NotNegotiated) as error:
        click.echo(f"{target}: {error}", err=True)
        sys.exit(1)
    click.echo(f"{target}: status 0x{status:04X} after {1000 * (time.monotonic() - began):.0f} ms")
    sys.exit(0 if status == 0 else 1)
