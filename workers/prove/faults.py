"""What is done to the cluster while clients work, drawn from a seed, so that a run can be repeated.

Two injectors work side by side, one on processes and one on wires: the worst comes in pairs. Each fault is undone by
the one who did it, and noted in the history when it is over; one without effect is noted and does not count.
"""

from collections.abc import Mapping, Sequence
from random import Random

from workers.prove import process_faults as processes
from workers.prove import server_faults as servers
from workers.prove import wire_faults as wires
from workers.prove.client import Client
from workers.prove.effects import Fault, NoEffectError
from workers.prove.stage import Stage

FAULTS: Mapping[str, Mapping[str, tuple[int, Fault]]] = {
    "processes": {
        "node killed": (8, processes.kill),
        "node killed at failpoint": (12, processes.kill_at_failpoint),
        "node terminated": (4, processes.terminate),
        "node stopped": (8, processes.stop),
        "process killed": (6, processes.kill_any),
        "process stopped": (8, processes.stop_any),
        "node cannot write": (4, processes.refuse_writes),
        "disk full": (4, processes.fill_disk),
        "clock jumped": (4, processes.jump_clock),
        "PostgreSQL crashed": (4, servers.crash_postgresql),
        "standby restarted": (2, servers.crash_standby),
        "failed over": (2, servers.fail_over),
        "Redis restarted": (2, servers.restart_redis),
        "Redis flushed": (4, servers.flush_redis),
        "schema downgraded": (1, servers.downgrade),
        "Orthanc beside": (1, servers.orthanc_beside),
    },
    "wires": {
        "wire cut": (6, wires.cut),
        "wire half closed": (2, wires.half_close),
        "wire silent": (3, wires.silence),
        "wire delayed": (2, wires.delay),
        "wire throttled": (2, wires.throttle),
    },
}
"""By injector and name: how often compared with the others of the injector, and what happens."""


class Injector(Client):
    """Draws one fault after the other, with pauses of `pause_seconds` on average.

    Each is drawn once, in an order of the seed, before any comes again: a short run has seen them all sooner.
    """

    def __init__(self, *client: object, stage: Stage, kinds: Sequence[str], pause_seconds: float) -> None:
        super().__init__(*client)  # type: ignore[arg-type]
        self._stage = stage
        faults = {name: fault for group in FAULTS.values() for name, fault in group.items()}
        self._faults = [(name, *faults[name]) for name in kinds]
        self._pause_seconds = pause_seconds

    def work(self) -> None:
        weights = [weight for _, weight, _ in self._faults]
        first = self.random.sample(self._faults, len(self._faults))
        while not self._stopping.wait(self.random.uniform(0, 2 * self._pause_seconds)):
            (drawn,) = self.random.choices(self._faults, weights)
            self._do(*(first.pop() if first else drawn))

    def _do(self, name: str, _: int, fault: Fault) -> None:
        # Of its own for each, so that how long one takes does not change what comes next.
        random = Random(self.random.random())  # noqa: S311
        began = self.history.now()
        try:
            self.history.fault(began, name, fault(self._stage, random, self._stopping))
        except NoEffectError as reason:
            self.history.fault(began, name, str(reason), happened=False)
