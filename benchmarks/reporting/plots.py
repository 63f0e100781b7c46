"""Plots of what a benchmark measured, each as an HTML figure with an SVG that has no links or scripts.

Titles are captions, because in a chart they would begin where its axis does and be cut off.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import leather

WIDTH, HEIGHT = 520, 340
_COLORS = ("#0b6e4f", "#b5651d", "#44546a", "#8e5ea2")


def plots_of(details: Mapping[str, Any]) -> Iterator[str]:
    """What can be drawn of the details of a part.

    `medians` (of `benchmarks.ingest.samples.Samples`) become rates by number of clients, and CPU time for an instance;
    `per_second`, lists of rates by name, become bars of their medians.
    """
    medians = details.get("medians", [])
    if medians:
        yield from _rates(medians)
        yield from _costs(medians)
    rates = details.get("per_second")
    if rates:
        yield _bars("Instances/s", {name: statistics.median(found) for name, found in rates.items()})


def _rates(medians: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for (size, mix, no_delay), group in _grouped(medians, "size", "mix", "no_delay"):
        title = f"Instances/s: {size}, {mix}{'' if no_delay else ', Nagle'}"
        clients = {row["clients"] for row in group}
        if len(clients) > 1:
            systems = _grouped(group, "system")
            yield _lines(title, {name: {row["clients"]: row["rate"] for row in rows} for (name,), rows in systems})
        else:
            yield _bars(f"{title}, {clients.pop()} clients", {row["system"]: row["rate"] for row in group})


def _costs(medians: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Of the load with the most clients up to 16, which is what a figure is wanted for."""
    for (size, mix, no_delay), group in _grouped(medians, "size", "mix", "no_delay"):
        if mix == "distinct" and no_delay:
            clients = max((row["clients"] for row in group if row["clients"] <= 16), default=None)
            bars = {
                f"{row['system']}: {part}": milliseconds
                for row in group
                if row["clients"] == clients
                for part, milliseconds in row["cpu_milliseconds"].items()
            }
            yield _bars(f"CPU ms of one instance: {size}, {clients} clients", bars)


def _lines(title: str, series: Mapping[str, Mapping[int, float]]) -> str:
    """Lines over numbers of clients, on a logarithmic axis because those double."""
    chart = leather.Chart()
    xs = sorted({x for points in series.values() for x in points})
    for color, (name, points) in zip(_COLORS, series.items(), strict=False):
        data = [(math.log2(x), y) for x, y in sorted(points.items())]
        chart.add_line(data, name=name, stroke_color=color, width=2)
    ticks = [math.log2(x) for x in xs]
    chart.add_x_scale(ticks[0], ticks[-1])
    chart.add_x_axis(name="clients", ticks=ticks, tick_formatter=lambda value, *_: f"{2**value:.0f}")
    chart.add_y_scale(0, _round_up(max(y for points in series.values() for y in points.values())))
    return _figure(title, chart, HEIGHT)


def _bars(title: str, bars: Mapping[str, float]) -> str:
    chart = leather.Chart()
    chart.add_bars([(value, name) for name, value in bars.items()], fill_color=_COLORS[0])
    chart.add_x_scale(0, _round_up(max(bars.values())))
    return _figure(title, chart, min(HEIGHT, 120 + 30 * len(bars)))


def _figure(title: str, chart: Any, height: int) -> str:
    svg = chart.to_svg(width=WIDTH, height=height)
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"


def _round_up(value: float) -> float:
    """1, 2, 3 or 5 times a power of ten, so that five ticks are round."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 7.5, 10) if step * power >= value)


def _grouped(
    rows: Iterable[Mapping[str, Any]], *keys: str
) -> Iterator[tuple[tuple[Any, ...], list[Mapping[str, Any]]]]:
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    yield from groups.items()
