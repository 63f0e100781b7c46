"""One HTML page of a run: numbers, rate, where the latency was, and what the servers said of themselves meanwhile."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from math import floor, log10
from typing import Any

from workers.html import HEIGHT, WIDTH, Point, document, lines, per_second
from workers.load.ledger import Ledger

_COLUMNS, _PER_DECADE = 120, 6
_MOST_METRICS = 40
_MOST_REASONS = 8


def page(result: Mapping[str, Any], ledger: Ledger, title: str) -> str:
    """The page for the JSON form of a result and the ledger it came from."""
    return document(title, _body(result, ledger))


def comparison(runs: Sequence[tuple[str, Mapping[str, Any], Ledger]], title: str) -> str:
    """One page for the same load on several systems: numbers side by side, then the page of each."""
    names = ("acknowledged", "missing", "duplicated", "wrong_bytes", "retries", "instances_per_second")
    rows = [
        (name.replace("_", " "), *(f"{result[name]:,.1f}".removesuffix(".0") for _, result, _ in runs))
        for name in names
    ]
    rows += [
        (f"{percentile} ms", *(f"{result['latency_ms'][percentile] or 0:,.1f}" for _, result, _ in runs))
        for percentile in ("p50", "p95", "p99")
    ]
    heads = "".join(f"<th>{escape(name)}</th>" for name, _, _ in runs)
    table = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    parts = [f"<table><tr><th></th>{heads}</tr>{table}</table>"]
    for name, result, ledger in runs:
        parts += [f"<h1>{escape(name)}</h1>", *_body(result, ledger)]
    return document(title, parts)


def _body(result: Mapping[str, Any], ledger: Ledger) -> list[str]:
    deliveries = list(ledger.deliveries())
    began = min((at - latency for at, latency in deliveries), default=0.0)
    return [
        _verdict(result),
        "<h2>Acknowledged instances per second</h2>",
        lines([per_second(at - began for at, _ in deliveries)], "/s"),
        "<h2>Latency</h2>",
        _heat_map([(at - began, latency) for at, latency in deliveries]),
        *_failures({why: [at - began for at in times] for why, times in ledger.failed().items()}),
        *_beside("Searches", [(at - began, seconds, failure) for at, seconds, failure in ledger.searches()]),
        *_beside("Deletions", [(at - began, seconds, failure) for at, seconds, failure in ledger.deletions()]),
        *_metrics(ledger.measured(), began),
    ]


def _verdict(result: Mapping[str, Any]) -> str:
    rows = []
    for name in ("planned", "acknowledged", "missing", "duplicated", "wrong_bytes", "not_deleted", "retries"):
        bad = name in ("missing", "duplicated", "wrong_bytes", "not_deleted") and result[name]
        rows.append((name.replace("_", " "), f'<span class="{"no" if bad else ""}">{result[name]:,}</span>'))
    rows.append(("instances/s", f"{result['instances_per_second']:,.1f}"))
    rows.append(("MB/s", f"{result['megabytes_per_second']:,.1f}"))
    rows += [(f"{name} ms", "" if value is None else f"{value:,.1f}") for name, value in result["latency_ms"].items()]
    rows += [(escape(target), f"{number:,}") for target, number in result["per_target"].items()]
    rows.append(("seed", str(result["seed"])))
    verdict = '<p class="yes">passed</p>' if result["passed"] else '<p class="no">not passed</p>'
    if not result["checked"]:
        verdict += '<p class="no">the archive was not looked at</p>'
    findings = "".join(
        f'<p class="no">{escape(text)}</p>'
        for text in (*result["inconsistencies"], *result["examples"], *result["missed"])
    )
    table = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows)
    return f"{verdict}{findings}<table>{table}</table>"


def _heat_map(points: Sequence[Point]) -> str:
    """How many had which latency when; latencies on a logarithmic scale."""
    if not points:
        return "<p>nothing was acknowledged</p>"
    end = max(at for at, _ in points) or 1.0
    cells = Counter(
        (min(_COLUMNS - 1, int(at * _COLUMNS / end)), floor(_PER_DECADE * log10(max(latency, 1e-5))))
        for at, latency in points
    )
    rows = [row for _, row in cells]
    lowest, highest = min(rows), max(rows)
    width, height = WIDTH / _COLUMNS, HEIGHT / (highest - lowest + 1)
    most = max(cells.values())
    drawn = "".join(
        f'<rect x="{column * width:.1f}" y="{(highest - row) * height:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' fill="#0b6e4f" fill-opacity="{0.08 + 0.92 * number / most:.2f}"/>'
        for (column, row), number in sorted(cells.items())
    )
    shown = [f"{1000 * 10 ** (each / _PER_DECADE):,.3g}" for each in (lowest, highest + 1)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img">{drawn}</svg>'
        f"<small>{shown[0]} to {shown[1]} ms (logarithmic), 0 to {end:,.0f} s; the darker, the more instances</small>"
    )


def _failures(failed: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """How many a second, all together and those of each frequent reason."""
    if not failed:
        return
    yield "<h2>Attempts that failed, per second</h2>"
    times = sorted(at for each in failed.values() for at in each)
    yield lines([per_second(times)], "/s", 90)
    yield '<div class="small">'
    for why, own in list(failed.items())[:_MOST_REASONS]:
        drawn = lines([per_second(own)], "/s", 60)
        yield f"<figure><figcaption>{escape(why)}: {len(own):,}</figcaption>{drawn}</figure>"
    yield "</div>"
    if len(failed) > _MOST_REASONS:
        rest = list(failed.items())[_MOST_REASONS:]
        yield f"<p><small>{len(rest)} more reasons, {sum(len(own) for _, own in rest):,} attempts</small></p>"


def _beside(what: str, done: Sequence[tuple[float, float, str]]) -> Iterator[str]:
    if not done:
        return
    failed = Counter(failure for _, _, failure in done if failure)
    yield f"<h2>{what} beside: {len(done):,}, {sum(failed.values()):,} failed</h2>"
    yield _heat_map([(at, seconds) for at, seconds, _ in done])
    yield from (f'<p class="no">{escape(text)}: {number:,}</p>' for text, number in failed.items())


def _metrics(measured: Mapping[tuple[str, str], Sequence[Point]], began: float) -> Iterator[str]:
    """Those that changed; counters as what came per second."""
    if not measured:
        return
    yield f'<h2>What the servers said</h2><p><small>{len(measured)} metrics changed</small></p><div class="small">'
    for (url, name), line in list(measured.items())[:_MOST_METRICS]:
        times = [(at - began, value) for at, value in line]
        is_counter = name.endswith(("_total", "_count", "_sum"))
        drawn = lines([_rates(times) if is_counter else times], "/s" if is_counter else "", 120)
        yield f"<figure><figcaption>{escape(name)} <small>{escape(url)}</small></figcaption>{drawn}</figure>"
    yield "</div>"


def _rates(line: Sequence[Point]) -> list[Point]:
    return [
        (later[0], max(0.0, later[1] - earlier[1]) / max(1e-6, later[0] - earlier[0]))
        for earlier, later in pairwise(line)
    ]
