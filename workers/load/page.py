"""One HTML page of a run: numbers, rate, where the latency was, and what the servers said of themselves meanwhile."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from math import floor, log10
from typing import Any

from workers.load.ledger import Ledger

_WIDTH, _HEIGHT = 1000, 180
_COLUMNS, _PER_DECADE = 120, 6
_MOST_METRICS = 40
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1c1c1c }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top }
.no { color: #b00020; font-weight: 600 } .yes { color: #0b6e4f } svg { width: 100%; background: #f6f6f6 }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: .8rem }
figure { margin: 0 } figcaption, small { color: #555; font-size: 85%; overflow-wrap: anywhere }
"""

Point = tuple[float, float]


def page(result: Mapping[str, Any], ledger: Ledger, title: str) -> str:
    """The page for the JSON form of a result and the ledger it came from."""
    return _document(title, _body(result, ledger))


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
    return _document(title, parts)


def _document(title: str, body: Iterable[str]) -> str:
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    return "\n".join([f"{head}<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>", *body, "</body></html>"])


def _body(result: Mapping[str, Any], ledger: Ledger) -> list[str]:
    deliveries = list(ledger.deliveries())
    began = min((at - latency for at, latency in deliveries), default=0.0)
    return [
        _verdict(result),
        "<h2>Acknowledged instances per second</h2>",
        _lines([_per_second(at - began for at, _ in deliveries)], "/s"),
        "<h2>Latency</h2>",
        _heat_map([(at - began, latency) for at, latency in deliveries]),
        *_failures(result),
        *_searches([(at - began, seconds, failure) for at, seconds, failure in ledger.searches()]),
        *_metrics(ledger.measured(), began),
    ]


def _verdict(result: Mapping[str, Any]) -> str:
    rows = []
    for name in ("planned", "acknowledged", "missing", "duplicated", "wrong_bytes", "retries"):
        bad = name in ("missing", "duplicated", "wrong_bytes") and result[name]
        rows.append((name.replace("_", " "), f'<span class="{"no" if bad else ""}">{result[name]:,}</span>'))
    rows.append(("instances/s", f"{result['instances_per_second']:,.1f}"))
    rows.append(("MB/s", f"{result['megabytes_per_second']:,.1f}"))
    rows += [(f"{name} ms", "" if value is None else f"{value:,.1f}") for name, value in result["latency_ms"].items()]
    rows += [(escape(target), f"{number:,}") for target, number in result["per_target"].items()]
    rows.append(("seed", str(result["seed"])))
    verdict = '<p class="yes">passed</p>' if result["passed"] else '<p class="no">not passed</p>'
    findings = "".join(
        f'<p class="no">{escape(text)}</p>'
        for text in (*result["inconsistencies"], *result["examples"], *result["missed"])
    )
    table = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows)
    return f"{verdict}{findings}<table>{table}</table>"


def _per_second(times: Iterable[float]) -> list[Point]:
    counts = Counter(floor(at) for at in times)
    end = max(counts, default=0) + 1
    step = max(1, -(-end // _WIDTH))
    return [(begin, sum(counts[begin + each] for each in range(step)) / step) for begin in range(0, end, step)]


def _lines(series: Sequence[Sequence[Point]], unit: str, height: int = _HEIGHT) -> str:
    """Lines over time, each from 0 to the highest value of all."""
    end = max((at for line in series for at, _ in line), default=0.0) or 1.0
    highest = max((value for line in series for _, value in line), default=0.0) or 1.0
    drawn = "".join(
        '<polyline fill="none" stroke="#0b6e4f" stroke-width="1.5" points="{}"/>'.format(
            " ".join(f"{at * _WIDTH / end:.1f},{height - value * (height - 4) / highest:.1f}" for at, value in line)
        )
        for line in series
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" role="img">{drawn}</svg>'
        f"<small>0 to {highest:,.4g}{unit}, 0 to {end:,.0f} s</small>"
    )


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
    width, height = _WIDTH / _COLUMNS, _HEIGHT / (highest - lowest + 1)
    most = max(cells.values())
    drawn = "".join(
        f'<rect x="{column * width:.1f}" y="{(highest - row) * height:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' fill="#0b6e4f" fill-opacity="{0.08 + 0.92 * number / most:.2f}"/>'
        for (column, row), number in sorted(cells.items())
    )
    shown = [f"{1000 * 10 ** (each / _PER_DECADE):,.3g}" for each in (lowest, highest + 1)]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img">{drawn}</svg>'
        f"<small>{shown[0]} to {shown[1]} ms (logarithmic), 0 to {end:,.0f} s; the darker, the more instances</small>"
    )


def _failures(result: Mapping[str, Any]) -> Iterator[str]:
    if result["failures"]:
        yield "<h2>Attempts that failed</h2><table>"
        yield from (f"<tr><td>{escape(why)}</td><td>{many:,}</td></tr>" for why, many in result["failures"].items())
        yield "</table>"


def _searches(searches: Sequence[tuple[float, float, str]]) -> Iterator[str]:
    if not searches:
        return
    failed = Counter(failure for _, _, failure in searches if failure)
    yield f"<h2>Searches beside: {len(searches):,}, {sum(failed.values()):,} failed</h2>"
    yield _heat_map([(at, seconds) for at, seconds, _ in searches])
    yield from (f'<p class="no">{escape(text)}: {number:,}</p>' for text, number in failed.items())


def _metrics(measured: Mapping[tuple[str, str], Sequence[Point]], began: float) -> Iterator[str]:
    """Those that changed; counters as what came per second."""
    if not measured:
        return
    yield f'<h2>What the servers said</h2><p><small>{len(measured)} metrics changed</small></p><div class="small">'
    for (url, name), line in list(measured.items())[:_MOST_METRICS]:
        times = [(at - began, value) for at, value in line]
        is_counter = name.endswith(("_total", "_count", "_sum"))
        drawn = _lines([_rates(times) if is_counter else times], "/s" if is_counter else "", 120)
        yield f"<figure><figcaption>{escape(name)} <small>{escape(url)}</small></figcaption>{drawn}</figure>"
    yield "</div>"


def _rates(line: Sequence[Point]) -> list[Point]:
    return [
        (later[0], max(0.0, later[1] - earlier[1]) / max(1e-6, later[0] - earlier[0]))
        for earlier, later in pairwise(line)
    ]
