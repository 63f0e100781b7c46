"""HTTP uploads under load: client processes, which cases, and what is wanted of them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.figures import Part
from benchmarks.ingest import published
from benchmarks.ingest.corpus import Corpus, Size, corpus
from benchmarks.ingest.rounds import Answered, Load, Rounds
from benchmarks.ingest.samples import Case, Sample, Samples
from benchmarks.ingest.system import System

CLIENTS = 8
EACH: Mapping[Size, int] = {"30 KB": 200, "526 KB": 100}
"""Instances that each client uploads, by size."""
SMOKE_EACH: Mapping[Size, int] = {"30 KB": 8, "526 KB": 4}
FACTOR = 2.5

_CLIENT = Path(__file__).with_name("upload_client.py")
_TIMEOUT_SECONDS = 600


class ClientFailed(Exception):
    """A client process ended with an error; the message is the end of its output."""


def upload(files: Corpus, system: System) -> Answered:
    """Upload a corpus, each of its folders by a process of its own that keeps one connection; clients start together.

    Raises:
        ClientFailed: a client could not connect, or its connection broke.
    """
    with ExitStack() as stack:
        clients = []
        for number, folder in enumerate(files.folders):
            clients.append(_started(stack, system.http[number % len(system.http)], folder))
        for client in clients:
            assert client.stdout is not None
            if client.stdout.readline().strip() != "ready":
                raise ClientFailed(_errors(client))
        for client in clients:
            assert client.stdin is not None
            client.stdin.write("go\n")
            client.stdin.flush()
        return _answered(files, [_result(client) for client in clients])


def measure(rounds: Rounds, each: Mapping[Size, int], clients: int = CLIENTS) -> Iterator[Sample]:
    """All samples, of one size after the other."""
    for size, count in each.items():
        with corpus(senders=clients, instances_each=count, size=size) as files:
            yield from rounds.run([Load(Case(clients, size), files, upload)], no_delay=True)


def judged(samples: Samples) -> Part:
    """The figures that are wanted."""
    part = Part(details={"medians": samples.medians(), "samples": samples.as_json()})
    if not samples.has_ours:
        return part
    failed, unstored = samples.failed(samples.ours)
    part.add("acknowledged and not stored", "0", str(unstored), unstored == 0)
    part.add("not acknowledged", "0", str(failed), failed == 0)
    for case in samples.cases:
        p99 = samples.median(case, samples.ours, _p99)
        for other in samples.others:
            _ratio(part, f"POST {case}: by {other}", samples.ratio(case, other))
            _latency(part, f"POST {case}: p99 against {other}", p99, samples.median(case, other, _p99))
        published_rate = published.HTTP[case.size]
        name = f"POST {case}: by {published_rate:g}/s of {published.SYSTEM}"
        _ratio(part, name, samples.rate(case, samples.ours) / published_rate)
        if case.size in published.HTTP_P99_MILLISECONDS:
            name = f"POST {case}: p99 against {published.SYSTEM}"
            _latency(part, name, p99, published.HTTP_P99_MILLISECONDS[case.size])
    return part


def _started(stack: ExitStack, http: str, folder: Path) -> "subprocess.Popen[str]":
    host, _, port = http.removeprefix("http://").rpartition(":")
    pipe = subprocess.PIPE
    command = [sys.executable, "-I", "-S", str(_CLIENT), host, port, str(folder)]
    client = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    stack.callback(_end, client)
    return client


def _end(client: "subprocess.Popen[str]") -> None:
    client.kill()
    client.communicate()


def _result(client: "subprocess.Popen[str]") -> dict[str, Any]:
    output, errors = client.communicate(timeout=_TIMEOUT_SECONDS)
    if client.returncode != 0:
        raise ClientFailed(errors[-2000:])
    found: dict[str, Any] = json.loads(output)
    return found


def _errors(client: "subprocess.Popen[str]") -> str:
    assert client.stderr is not None
    return client.stderr.read()[-2000:]


def _answered(files: Corpus, results: Sequence[dict[str, Any]]) -> Answered:
    times = [each for result in results for each in result["times"]]
    failures = sum(result["failures"] for result in results)
    seconds = max(end for _, end in times) - min(began for began, _ in times)
    latencies = [end - began for began, end in times]
    return Answered(files.instances, failures, (files.instances - failures) / seconds, latencies)


def _p99(sample: Sample) -> float:
    return sample.p99_milliseconds


def _ratio(part: Part, name: str, ratio: float) -> None:
    part.add(name, f"≥ {FACTOR:g} times", f"{ratio:.2f} times", ratio >= FACTOR, is_speed=True)


def _latency(part: Part, name: str, ours: float, theirs: float) -> None:
    part.add(name, f"≤ {theirs:.1f} ms", f"{ours:.1f} ms", ours <= theirs, is_speed=True)
