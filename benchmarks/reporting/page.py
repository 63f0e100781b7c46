"""One HTML page of all results: what was asked for, what was missed and why, then each benchmark with plots."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.reporting.asked import ROWS
from benchmarks.reporting.documents import Document, Explanations, Found, figures
from benchmarks.reporting.plots import plots_of

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c1c1c }
svg { max-width: 100%; height: auto } svg text { font-family: system-ui, sans-serif }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .6rem; vertical-align: top }
tr { border-bottom: 1px solid #ddd } .no { color: #b00020; font-weight: 600 } .yes { color: #0b6e4f }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-weight: 600 }
.why td { padding-left: 2rem; color: #444; font-size: 90% }
pre { overflow-x: auto; background: #f6f6f6; padding: .6rem } small { color: #555 }
"""
_BULKY = ("samples", "medians")
"""Details that are drawn, and too long to read."""


def page(results: Mapping[str, Document], explanations: Explanations) -> str:
    """The page for the documents of benchmarks, by name."""
    body = [
        *summary(list(figures(results)), explanations),
        *(line for name, document in results.items() for line in _benchmark(name, document, explanations)),
    ]
    return html("What was measured", body)


def html(title: str, body: Iterable[str]) -> str:
    """A page that needs no other file, with that heading."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
            *body,
            "</body></html>",
        ]
    )


def summary(found: Sequence[Found], explanations: Explanations) -> Iterator[str]:
    """How many figures are met; the table that was asked for; what was missed, each with its explanation."""
    missed = [each for each in found if each.missed]
    wanted = sum(bool(each.figure["wanted"]) for each in found)
    yield f"<p>{wanted - len(missed)} of {wanted} wanted figures are met.</p>"
    yield "<h2>What was asked for of ingest</h2>"
    yield "<table><tr><th>what</th><th>against</th><th>at least</th><th>measured</th><th>met</th></tr>"
    for row in ROWS:
        answers = row.found(found)
        measured = "<br>".join(f"{_name(each)} <b>{escape(each.figure['measured'])}</b>" for each in answers)
        cells = (escape(row.what), escape(row.against), escape(row.least), measured, _met(answers))
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        yield from _whys(answers, explanations, 5)
    yield "</table>"
    if missed:
        yield "<h2>Missed</h2>"
        yield from _table(missed, explanations, with_origin=True)


def _benchmark(name: str, document: Document, explanations: Explanations) -> Iterator[str]:
    yield f"<h2>{escape(name)}</h2>"
    for part, found in document.items():
        yield f"<h3>{escape(part)}</h3>"
        yield f"<p><small>{escape(_machine(found['machine'], found['sizes']))}</small></p>"
        yield from _table([Found(name, part, figure) for figure in found["figures"]], explanations)
        yield f'<div class="plots">{"".join(plots_of(found["details"]))}</div>'
        yield from _medians(found["details"].get("medians", []))
        rest = {key: value for key, value in found["details"].items() if key not in _BULKY}
        if rest:
            text = escape(json.dumps(rest, indent=2, ensure_ascii=False))
            yield f"<details><summary>More numbers</summary><pre>{text}</pre></details>"


def _table(found: Iterable[Found], explanations: Explanations, *, with_origin: bool = False) -> Iterator[str]:
    """Figures, below each that was missed why; nothing at all for none."""
    rows = [line for each in found for line in _rows(each, explanations, with_origin)]
    if rows:
        yield "<table><tr><th>figure</th><th>wanted</th><th>measured</th><th>met</th></tr>"
        yield from rows
        yield "</table>"


def _rows(found: Found, explanations: Explanations, with_origin: bool) -> Iterator[str]:
    figure = found.figure
    name = _name(found) if with_origin else escape(figure["name"])
    cells = (name, escape(figure["wanted"]), escape(figure["measured"]), _met([found]))
    yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield from _whys([found], explanations, 4)


def _name(found: Found) -> str:
    return f"<small>{escape(found.result)} {escape(found.part)}</small> {escape(found.figure['name'])}"


def _met(found: Sequence[Found]) -> str:
    """In one word; nothing for figures of which nothing is wanted."""
    if not found:
        return '<span class="no">not measured</span>'
    if not any(each.figure["wanted"] for each in found):
        return ""
    met = "no" if any(each.missed for each in found) else "yes"
    return f'<span class="{met}">{met}</span>'


def _whys(found: Sequence[Found], explanations: Explanations, columns: int) -> Iterator[str]:
    """A row with the explanations of those that were missed, each text once."""
    texts = dict.fromkeys(explanations.why(each) or "not explained yet" for each in found if each.missed)
    for text in texts:
        yield f'<tr class="why"><td colspan="{columns}">{escape(text)}</td></tr>'


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
