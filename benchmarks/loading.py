"""One load into one system, checked: what is repeated by turns in a benchmark of ingest."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.ingest.corpus import Corpus
from benchmarks.ingest.cpu import metered
from benchmarks.ingest.senders import send
from benchmarks.ingest.system import System, settle


class NotStored(Exception):
    """Instances were refused, or acknowledged and are not in the index: the rates would mean nothing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One load that was stored as a whole.

    Attributes:
        rate: instances a second.
        cpu_milliseconds: of one instance, by part of the system.
    """

    instances: int
    rate: float
    cpu_milliseconds: dict[str, float]


def load(system: System, files: Corpus, targets: Sequence[str] | None = None) -> Loaded:
    """Send the corpus as new instances, without Nagle's algorithm, to all nodes of the system or to `targets`.

    Raises NotStored.
    """
    files.refresh()
    settle(system.server)
    before = system.stored()
    with metered(system.parts) as used:
        sent = send(files, targets or system.dicom, no_delay=True)
    stored = system.stored() - before
    if sent.failures or stored != sent.instances:
        raise NotStored(
            f"{system.name}: {sent.failures} of {sent.instances} refused, {stored} stored; {sent.complaints[:1]}"
        )
    return Loaded(sent.instances, sent.rate, used.milliseconds_each(sent.instances))
