"""Systems take turns under the same loads: round after round, the other way round each time."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.ingest.corpus import Corpus
from benchmarks.ingest.cpu import metered
from benchmarks.ingest.peers import Peer
from benchmarks.ingest.samples import Case, Sample, percentile
from benchmarks.ingest.system import System, settle
from workers.local.postgresql import LocalPostgreSQL

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """What the clients found, whatever they speak.

    Attributes:
        latencies: in seconds.
    """

    instances: int
    failures: int
    rate: float
    latencies: Sequence[float]


@dataclass(frozen=True, slots=True)
class Load:
    """A case with its files and the clients that send them.

    Attributes:
        send: all files to the system, and wait.
    """

    case: Case
    corpus: Corpus
    send: Callable[[Corpus, System], Answered]


class Rounds:
    """Runs loads on systems, and remembers the versions that it met."""

    def __init__(self, server: LocalPostgreSQL, peers: Sequence[Peer], repeat: int, tell: Tell) -> None:
        self._server = server
        self._peers = peers
        self._repeat = repeat
        self._tell = tell
        self.versions: dict[str, Any] = {}

    def run(self, loads: Sequence[Load], *, no_delay: bool) -> Iterator[Sample]:
        """All loads, one after the other, on a fresh start of each system, with a database and folder of its own.

        Each round has all systems; their order changes, so that none has always the same predecessor.
        """
        for number in range(self._repeat):
            for peer in self._peers[:: -1 if number % 2 else 1]:
                self._tell(f"round {number + 1} of {self._repeat}: {peer.name} starts")
                with peer.start(self._server, no_delay) as system:
                    self.versions[system.name] = system.versions
                    self._warm_up(loads[0], system)
                    for load in loads:
                        self._tell(f"round {number + 1} of {self._repeat}: {system.name}, {load.case}")
                        yield self._sample(load, peer, system, number)

    def _warm_up(self, load: Load, system: System) -> None:
        """Connections, prepared statements, first pages: paid once in the life of a system, so not measured."""
        load.corpus.refresh()
        load.send(load.corpus, system)

    def _sample(self, load: Load, peer: Peer, system: System, number: int) -> Sample:
        load.corpus.refresh()
        settle(self._server)
        stored = system.stored()
        load_average = os.getloadavg()[0]
        with metered(system.parts) as used:
            answered = load.send(load.corpus, system)
        acknowledged = answered.instances - answered.failures
        return Sample(
            case=load.case,
            system=system.name,
            is_ours=peer.is_ours,
            round=number,
            instances=answered.instances,
            rate=answered.rate,
            failures=answered.failures,
            unstored=max(0, acknowledged - (system.stored() - stored)),
            p50_milliseconds=1000 * percentile(answered.latencies, 50),
            p99_milliseconds=1000 * percentile(answered.latencies, 99),
            cpu=used.milliseconds_each(answered.instances),
            load_average=round(load_average, 2),
        )
