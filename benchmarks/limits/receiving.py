"""Receiving alone: our receiver and DCMTK's, both throwing the bytes away, under the same senders by turns."""

import os
import shutil
import socket
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Part
from benchmarks.ingest.corpus import SIZES, Size, corpus
from benchmarks.ingest.cpu import metered
from benchmarks.ingest.senders import NotInstalled, send
from cluster.config import environment_without_settings, load_settings
from workers.local.ports import free_port
from workers.local.processes import ManagedProcess

_SENDERS = 16
_INSTANCES_EACH: dict[Size, int] = {"30 KB": 400, "526 KB": 100}
_WANTED_RATIO = 0.60
_READY_SECONDS = 20

Tell = Callable[[str], None]


def receiving(folder: Path, rounds: int, is_smoke: bool, tell: Tell) -> Part:
    """Measure; `folder` is for logs. Raises NotInstalled without DCMTK."""
    # What a node has unless its configuration says otherwise.
    processes = load_settings([], environ={}).cluster.ingest_processes
    senders = 2 if is_smoke else _SENDERS
    part = Part(sizes={"senders": senders, "rounds": rounds, "our_processes": processes})
    with _receiver("ours", folder, _ours(processes)) as ours, _receiver("storescp", folder, _storescp()) as theirs:
        for size in SIZES:
            _compare(part, size, {"ours": ours, "storescp": theirs}, senders, rounds, is_smoke, tell)
    return part


def _compare(
    part: Part,
    size: Size,
    receivers: dict[str, tuple[int, ManagedProcess]],
    senders: int,
    rounds: int,
    is_smoke: bool,
    tell: Tell,
) -> None:
    each = 4 if is_smoke else _INSTANCES_EACH[size]
    rates: dict[str, list[float]] = {name: [] for name in receivers}
    costs: dict[str, list[float]] = {name: [] for name in receivers}
    with corpus(senders=senders, instances_each=each, size=size) as files:
        for number in range(-1, rounds):
            for name, (port, process) in receivers.items():
                tell(f"{size}, round {max(number + 1, 0)} of {rounds}, {name}")
                assert process.pid is not None
                with metered({name: [process.pid]}) as used:
                    sent = send(files, [f"127.0.0.1:{port}"], no_delay=True)
                if sent.failures:
                    raise RuntimeError(f"{name}: {sent.failures} failed: {sent.complaints[0]}")
                if number >= 0:
                    rates[name].append(sent.rate)
                    costs[name].append(used.milliseconds_each(sent.instances)[name])
    ratio = statistics.median(ours / theirs for ours, theirs in zip(rates["ours"], rates["storescp"], strict=True))
    ours, theirs = (statistics.median(rates[name]) for name in ("ours", "storescp"))
    cpu = {name: statistics.median(found) for name, found in costs.items()}
    part.add(
        f"{size}: instances/s against storescp --fork --ignore",
        f">= {_WANTED_RATIO:.0%}",
        f"{ratio:.0%}: {ours:,.0f} of {theirs:,.0f}; CPU {cpu['ours']:.2f} ms each of {cpu['storescp']:.2f}",
        ratio >= _WANTED_RATIO,
        is_speed=True,
    )
    part.details[size] = {
        "ratio": round(ratio, 3),
        "per_second": {name: [round(rate) for rate in found] for name, found in rates.items()},
        "cpu_milliseconds_per_instance": {name: round(milliseconds, 3) for name, milliseconds in cpu.items()},
    }


@contextmanager
def _receiver(
    name: str, folder: Path, start: tuple[Callable[[int], Sequence[str]], dict[str, str]]
) -> Iterator[tuple[int, ManagedProcess]]:
    """A receiver that listens, and its port; gone after the block."""
    command, environment = start
    port = free_port()
    process = ManagedProcess(name, command(port), log_path=folder / f"{name}.log", env=environment)
    process.start()
    try:
        process.wait_ready(lambda: _is_open(port), _READY_SECONDS)
        yield port, process
    finally:
        process.kill()


def _ours(processes: int) -> tuple[Callable[[int], Sequence[str]], dict[str, str]]:
    module = [sys.executable, "-m", "benchmarks.limits.throw_away"]
    return lambda port: [*module, str(port), str(processes)], environment_without_settings()


def _storescp() -> tuple[Callable[[int], Sequence[str]], dict[str, str]]:
    """As it is quickest: a process an association, without Nagle's algorithm, with the largest PDUs."""
    program = shutil.which("storescp")
    if program is None:
        raise NotInstalled("DCMTK's storescp is not on PATH")
    options = [program, "--fork", "--ignore", "--max-pdu", "131072", "--aetitle", "ORTHANC"]
    return lambda port: [*options, str(port)], {"PATH": os.defpath, "LC_ALL": "C", "TCP_NODELAY": "1"}


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
