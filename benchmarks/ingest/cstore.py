"""C-STORE under load: which cases, by how many instances, and what is wanted of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.figures import Part
from benchmarks.ingest import published
from benchmarks.ingest.corpus import MIXES, SIZES, Corpus, Mix, Size, corpus
from benchmarks.ingest.rounds import Answered, Load, Rounds
from benchmarks.ingest.samples import Case, Sample, Samples
from benchmarks.ingest.senders import send
from benchmarks.ingest.system import System

SENDERS = (1, 4, 8, 16, 64)
EACH = {1: 400, 4: 250, 8: 200, 16: 150, 64: 50}
"""Instances that each of so many senders sends: some seconds, so that starts and ends are a small part."""
EACH_NAGLE = {1: 200, 8: 100, 16: 100}
"""Fewer, because some systems answer 25 times a second then."""

Plan = Sequence[tuple[Size, Mix, bool, Mapping[int, int]]]
"""Size, mix, TCP_NODELAY, and the instances of each sender by the number of senders."""


def full_plan(senders: Sequence[int] = SENDERS) -> Plan:
    """Everything the issue asks for."""
    mixes: list[Mix] = [mix for mix in MIXES if mix != "alone"]
    plan: list[tuple[Size, Mix, bool, Mapping[int, int]]] = []
    for size in SIZES:
        share = 1 if size == "30 KB" else 0.5
        plan += [(size, mix, True, {count: int(EACH[count] * share) for count in senders}) for mix in mixes]
    plan.append(("30 KB", "alone", True, {count: EACH[count] for count in senders if count == 16}))
    plan.append(("30 KB", "distinct", False, {count: EACH_NAGLE[count] for count in senders if count in EACH_NAGLE}))
    return [entry for entry in plan if entry[3]]


def wanted_plan() -> Plan:
    """Only what figures are wanted for."""
    return [
        ("30 KB", "distinct", True, {1: EACH[1], 16: EACH[16]}),
        ("526 KB", "distinct", True, {16: EACH[16] // 2}),
        ("30 KB", "distinct", False, {1: EACH_NAGLE[1], 8: EACH_NAGLE[8]}),
    ]


def smoke_plan() -> Plan:
    """One of each kind."""
    return [
        ("30 KB", "distinct", True, {1: 10, 4: 10}),
        ("526 KB", "study", True, {4: 5}),
        ("30 KB", "series", False, {2: 5}),
    ]


def measure(rounds: Rounds, plan: Plan) -> Iterator[Sample]:
    """All samples of a plan; the files of a size and mix exist only while they are needed."""
    for size, mix, no_delay, senders in plan:
        with _loads(size, mix, no_delay, senders) as loads:
            yield from rounds.run(loads, no_delay=no_delay)


@contextmanager
def _loads(size: Size, mix: Mix, no_delay: bool, senders: Mapping[int, int]) -> Iterator[list[Load]]:
    def sent(files: Corpus, system: System) -> Answered:
        found = send(files, system.dicom, no_delay=no_delay)
        return Answered(found.instances, found.failures, found.rate, found.latencies)

    with ExitStack() as stack:
        yield [
            Load(
                Case(count, size, mix, no_delay),
                stack.enter_context(corpus(senders=count, instances_each=each, size=size, mix=mix)),
                sent,
            )
            for count, each in senders.items()
        ]


def judged(samples: Samples) -> Part:
    """The figures that are wanted, as far as their cases were measured."""
    part = Part(details={"medians": samples.medians(), "samples": samples.as_json()})
    if samples.has_ours:
        failed, unstored = samples.failed(samples.ours)
        part.add("acknowledged and not stored", "0", str(unstored), unstored == 0)
        part.add("not acknowledged", "0", str(failed), failed == 0)
        for other in samples.others:
            _against(part, samples, other)
        _against_published(part, samples)
        _absolute(part, samples)
    return part


def _against(part: Part, samples: Samples, other: str) -> None:
    """Ratios of this run. Debian's plugins are older than the one for which the smaller factor is meant."""
    wanted = {
        Case(16, "30 KB"): 4 if _plugin_major(other) >= 10 else 8,
        Case(1, "30 KB"): 1.5,
        Case(16, "526 KB"): 2.2,
        Case(1, "30 KB", no_delay=False): 12,
        Case(8, "30 KB", no_delay=False): 6,
    }
    for case, factor in wanted.items():
        if case in samples.cases:
            _ratio(part, f"{case}: by {other}", factor, samples.ratio(case, other))


def _against_published(part: Part, samples: Samples) -> None:
    rates = {Case(clients, size): rate for (size, clients), rate in published.CSTORE.items()}
    rates |= {Case(clients, "30 KB", no_delay=False): rate for clients, rate in published.CSTORE_NAGLE.items()}
    wanted = {
        Case(16, "30 KB"): 4.0,
        Case(1, "30 KB"): 1.5,
        Case(16, "526 KB"): 2.2,
        Case(1, "30 KB", no_delay=False): 12,
        Case(8, "30 KB", no_delay=False): 6,
    }
    for case, factor in wanted.items():
        if case in samples.cases:
            ratio = samples.rate(case, samples.ours) / rates[case]
            _ratio(part, f"{case}: by {rates[case]:g}/s of {published.SYSTEM}", factor, ratio)


def _absolute(part: Part, samples: Samples) -> None:
    case = Case(16, "30 KB")
    if case not in samples.cases:
        return
    rate = samples.rate(case, samples.ours)
    part.add(str(case), "≥ 1,000/s", f"{rate:,.0f}/s", rate >= 1000, is_speed=True)
    cpu = samples.median(case, samples.ours, lambda sample: sample.cpu_milliseconds)
    least, most = published.CPU_MILLISECONDS
    wanted = f"≤ 1.5 ms ({least:g} to {most:g} of {published.SYSTEM})"
    part.add("CPU of ours + PostgreSQL for an instance of 30 KB", wanted, f"{cpu:.2f} ms", cpu <= 1.5, is_speed=True)


def _ratio(part: Part, name: str, factor: float, ratio: float) -> None:
    part.add(name, f"≥ {factor:g} times", f"{ratio:.2f} times", ratio >= factor, is_speed=True)


def _plugin_major(system: str) -> int:
    major = system.rpartition(" ")[2].partition(".")[0]
    return int(major) if major.isdecimal() else 0
