"""Which systems are compared: command-line options, and ways to start each of them again and again."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmarks.ingest.orthanc import OrthancFiles, find_orthanc, orthanc
from benchmarks.ingest.ours import NAME, our_cluster
from benchmarks.ingest.system import System
from workers.local.postgresql import LocalPostgreSQL

_PATH = click.Path(path_type=Path, exists=True)
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Peer:
    """A system that can be started.

    Attributes:
        start: with or without TCP_NODELAY=1 in its environment; ours does not look at that.
    """

    name: str
    is_ours: bool
    start: Callable[[LocalPostgreSQL, bool], AbstractContextManager[System]]


def peer_options(command: _Command) -> _Command:
    """The options from which `peers` chooses, for a click command that takes `**chosen`."""
    for option in reversed(
        (
            click.option("--orthanc-root", "roots", type=_PATH, multiple=True, help="Root folder with an Orthanc."),
            click.option("--orthanc", "program", type=_PATH, help="Any Orthanc, instead of the installed one."),
            click.option("--orthanc-plugin", "plugin", type=_PATH, help="Its PostgreSQL index plugin."),
            click.option("--orthanc-options", "theirs", default="{}", help="JSON: more of Orthanc's configuration."),
            click.option("--our-options", "ours", default="{}", help="JSON: more of our configuration."),
        )
    ):
        command = option(command)
    return command


def peers(
    *, roots: Sequence[Path] = (), program: Path | None, plugin: Path | None, theirs: str = "{}", ours: str = "{}"
) -> list[Peer]:
    """Ours first, then each Orthanc that the options name, or the installed one.

    Raises:
        NotInstalled: an Orthanc or its plugin is not there.
    """
    files = [find_orthanc(root=root) for root in roots]
    if program or plugin or not files:
        files.append(find_orthanc(program=program, plugin=plugin))
    return [_ours(json.loads(ours)), *(_orthanc(each, json.loads(theirs)) for each in files)]


def _ours(options: Mapping[str, Any]) -> Peer:
    more = dict(options)
    section = more.pop("Cluster", {})
    return Peer(NAME, True, lambda server, _: our_cluster(server, cluster=section, **more))


def _orthanc(files: OrthancFiles, options: Mapping[str, Any]) -> Peer:
    return Peer(
        f"Orthanc {files.version()}",
        False,
        lambda server, no_delay: orthanc(server, files, no_delay=no_delay, **options),
    )
