"""What a scenario is given, and what it hands back: claims, which a test asserts and a benchmark prints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.rollout.pod import Pod
from tests.acceptance.rollout.rehearsal import Rehearsal
from tests.acceptance.rollout.senders import Traffic
from workers.local.postgresql import LocalPostgreSQL

SILENCE_SECONDS = 1.0
"""Of real time: throughput is never 0 for longer while pods are replaced."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a scenario is; seconds are the cluster's, which `scale` makes real ones.

    Attributes:
        held_seconds: how long the upgrade is kept waiting in its first step.
        outage_seconds: how long the database is away, and Redis.
        killing_seconds: for how long a random pod is killed every `kill_every_seconds`.
        files: of the import.
    """

    scale: float
    senders: int
    held_seconds: float
    outage_seconds: float
    killing_seconds: float
    kill_every_seconds: float
    files: int


SMALL = Size(0.2, 6, held_seconds=40, outage_seconds=50, killing_seconds=60, kill_every_seconds=20, files=1_000)
LARGE = Size(1.0, 16, held_seconds=600, outage_seconds=120, killing_seconds=180, kill_every_seconds=10, files=10_000)


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that has to be so."""

    name: str
    wanted: str
    measured: str
    met: bool
    is_speed: bool = False


@dataclass
class Seen:
    """What a scenario found. `details` are figures that nobody wants to be anything."""

    claims: list[Claim] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    history: str = ""

    def claim(self, name: str, wanted: str, measured: object, met: bool, *, is_speed: bool = False) -> None:
        self.claims.append(Claim(name, wanted, str(measured), met, is_speed))

    def none(self, name: str, found: Sequence[object] | dict[Any, Any]) -> None:
        """There has to be nothing of that."""
        self.claim(name, "none", found or "none", not found)

    def intact(self, traffic: Traffic) -> None:
        """What holds in every scenario, whatever happens."""
        findings = traffic.findings
        self.claim(
            "instances acknowledged", "all", f"{traffic.acknowledged} of {traffic.planned}", traffic.lost_nothing
        )
        self.claim("of these lost", "0", len(findings.missing), not findings.missing)
        self.claim("duplicated", "0", len(findings.duplicated), not findings.duplicated)
        self.claim("with wrong bytes", "0", len(findings.wrong_bytes), not findings.wrong_bytes)
        self.none("inconsistencies of the index", findings.inconsistencies)
        self.details["attempts that failed"] = dict(traffic.failures)

    def undisturbed(self, traffic: Traffic, since: float, until: float) -> None:
        """Nobody noticed that pods were replaced between these moments."""
        silence = traffic.longest_silence(since, until)
        self.none("associations broken in the middle of an object", traffic.broken)
        self.claim(
            "longest time without an instance",
            f"<= {SILENCE_SECONDS:g} s",
            f"{silence:.2f} s",
            silence <= SILENCE_SECONDS,
            is_speed=True,
        )
        self.details["seconds"] = round(until - since, 1)
        self.details["instances/s meanwhile"] = round(traffic.during(since, until) / (until - since), 1)

    def ended_in_order(self, pods: Sequence[Pod]) -> None:
        """Each pod that was deleted has drained and left by itself."""
        self.none(
            "pods that did not end by themselves",
            [f"{pod.name}: {pod.exit_status}" for pod in pods if pod.gone and pod.exit_status != 0],
        )

    @property
    def unmet(self) -> list[Claim]:
        return [claim for claim in self.claims if not claim.met]

    def __str__(self) -> str:
        lines = [f"{'ok ' if it.met else 'NOT'} {it.name}: {it.measured} (wanted: {it.wanted})" for it in self.claims]
        return "\n".join([*lines, *(f"    {name}: {value}" for name, value in self.details.items())])


@dataclass(frozen=True)
class Stage:
    """Where a scenario plays: an empty folder, a PostgreSQL server that it may stop, and a database."""

    folder: Path
    haproxy: Path
    server: LocalPostgreSQL
    database: str
    size: Size

    @property
    def uri(self) -> str:
        return self.server.uri(self.database)

    def seconds(self, cluster_seconds: float) -> float:
        return cluster_seconds * self.size.scale

    def rehearsal(self, **options: Any) -> Rehearsal:
        return Rehearsal(self.folder, self.haproxy, self.uri, scale=self.size.scale, **options)
