"""One HTML page of all results: first what was missed, then each benchmark with figures, plots and numbers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from benchmarks.reporting.plots import plots_of

Document = Mapping[str, Mapping[str, Any]]
"""What a benchmark wrote: parts by name."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c1c1c }
svg { max-width: 100%; height: auto } svg text { font-family: system-ui, sans-serif }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .6rem; vertical-align: top }
tr { border-bottom: 1px solid #ddd } .no { color: #b00020; font-weight: 600 } .yes { color: #0b6e4f }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-weight: 600 }
pre { overflow-x: auto; background: #f6f6f6; padding: .6rem } small { color: #555 }
"""
_BULKY = ("samples", "medians")
"""Details that are drawn, and too long to read."""


def page(results: Mapping[str, Document]) -> str:
    """The page for the documents of benchmarks, by name."""
    figures = [
        (name, part, figure)
        for name, document in results.items()
        for part, found in document.items()
        for figure in found["figures"]
    ]
    missed = [each for each in figures if not each[2]["met"]]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width"><title>Benchmarks</title>',
            f"<style>{_STYLE}</style></head><body>",
            "<h1>What was measured</h1>",
            f"<p>{len(figures) - len(missed)} of {len(figures)} wanted figures are met.</p>",
            *(
                ["<h2>Missed</h2>", *_table((f"{name} {part}", figure) for name, part, figure in missed)]
                if missed
                else []
            ),
            *(line for name, document in results.items() for line in _benchmark(name, document)),
            "</body></html>",
        ]
    )


def _benchmark(name: str, document: Document) -> Iterator[str]:
    yield f"<h2>{escape(name)}</h2>"
    for part, found in document.items():
        yield f"<h3>{escape(part)}</h3>"
        yield f"<p><small>{escape(_machine(found['machine'], found['sizes']))}</small></p>"
        yield from _table((None, figure) for figure in found["figures"])
        yield f'<div class="plots">{"".join(plots_of(found["details"]))}</div>'
        yield from _medians(found["details"].get("medians", []))
        rest = {key: value for key, value in found["details"].items() if key not in _BULKY}
        if rest:
            text = escape(json.dumps(rest, indent=2, ensure_ascii=False))
            yield f"<details><summary>More numbers</summary><pre>{text}</pre></details>"


def _table(figures: Iterable[tuple[str | None, Mapping[str, Any]]]) -> Iterator[str]:
    """Figures, each with the words that go before its name; nothing at all for none."""
    rows = [_row(where, figure) for where, figure in figures]
    if rows:
        yield "<table><tr><th>figure</th><th>wanted</th><th>measured</th><th>met</th></tr>"
        yield from rows
        yield "</table>"


def _row(where: str | None, figure: Mapping[str, Any]) -> str:
    met = "yes" if figure["met"] else "no"
    name = f"<small>{escape(where)}</small> {escape(figure['name'])}" if where else escape(figure["name"])
    cells = (name, escape(figure["wanted"]), escape(figure["measured"]), f'<span class="{met}">{met}</span>')
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _medians(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    names = ("clients", "size", "mix", "Nagle", "system", "instances/s", "ours by it", "p50 ms", "p99 ms", "CPU ms")
    heads = "".join(f"<th>{name}</th>" for name in names)
    yield f"<details open><summary>All loads, medians of all rounds</summary><table><tr>{heads}</tr>"
    for row in rows:
        cells = (
            *(row["clients"], row["size"], row["mix"], "off" if row["no_delay"] else "on", row["system"]),
            f"{row['rate']:,.1f}" if row["rate"] < 100 else f"{row['rate']:,.0f}",
            f"{row['ratio']:.2f}" if row["ratio"] is not None else "",
            *(f"{row[key]:.1f}" for key in ("p50_milliseconds", "p99_milliseconds")),
            f"{sum(row['cpu_milliseconds'].values()):.2f}",
        )
        yield f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"
    yield "</table></details>"


def _machine(machine: Mapping[str, Any], sizes: Mapping[str, Any]) -> str:
    """Everything that is known of where it ran, in one line."""
    flat = {**machine, **sizes}
    return "; ".join(f"{key.replace('_', ' ')}: {_plain(value)}" for key, value in flat.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
