"""The verdict as a table, as JSON, and as one HTML page that explains itself."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from workers.prove.checker import RULES, Verdict
from workers.prove.history import History
from workers.prove.run import ProveOptions

_WIDTH, _HEIGHT = 1000, 160
_FAULTS_SHOWN = 300
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1c1c1c }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top }
.no { color: #b00020; font-weight: 600 } .yes { color: #0b6e4f } svg { width: 100%; background: #f6f6f6 }
"""


def as_json(options: ProveOptions, verdict: Verdict, seconds: float) -> dict[str, Any]:
    """Everything that was found, for programs."""
    return {
        "passed": verdict.clean,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "nodes": options.nodes,
        "writers": options.writers,
        "faults": list(options.faults),
        "rules": {rule: verdict.broken[rule] for rule in RULES},
        "looked_at": verdict.looked_at,
        "examples": [[each.rule, each.subject, each.text] for each in verdict.examples],
        "version": version("orthanc-cluster"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def print_verdict(document: Mapping[str, Any], console: Console) -> None:
    """What was kept and what was broken, the first findings, one line at the end."""
    table = Table(title="Promises", show_header=False)
    for rule, number in document["rules"].items():
        table.add_row(rule, f"[bold red]broken {number:,} times[/]" if number else "[green]kept[/]")
    table.add_section()
    for name, number in document["looked_at"].items():
        table.add_row(name, f"{number:,}")
    console.print(table)
    for rule, subject, text in document["examples"][:20]:
        console.print(f"{rule}: {subject} {text}", style="red", highlight=False)
    broken = sum(document["rules"].values())
    stored = document["looked_at"].get("store done", 0)
    faults = sum(number for name, number in document["looked_at"].items() if name.startswith("fault "))
    line = f"{broken:,} violations, {stored:,} instances acknowledged, {faults:,} faults, seed {document['seed']}"
    console.print(line, style="bold green" if document["passed"] else "bold red", highlight=False)


def write_report(folder: Path, document: Mapping[str, Any], history: History) -> None:
    """``verdict.json`` and ``verdict.html`` in `folder`."""
    (folder / "verdict.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "verdict.html").write_text("\n".join(_page(document, history)), "utf-8")


def _page(document: Mapping[str, Any], history: History) -> Iterator[str]:
    title = "Nothing was lost, nothing was doubled" if document["passed"] else "Promises were broken"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    yield f"</head><body><h1>{title}</h1>"
    yield (
        f"<p>{document['nodes']} nodes, {document['writers']} writers, {document['seconds']} s. Repeat it: <code>"
        f"orthanc-cluster prove --seed {document['seed']} --seconds {document['seconds']:.0f}</code></p>"
    )
    yield "<h2>Promises</h2><table>"
    for rule, number in document["rules"].items():
        yield f"<tr><td>{escape(rule)}</td><td>{_kept(number)}</td></tr>"
    yield "</table><h2>Acknowledged instances per second; a line where a fault began</h2>"
    yield _plot(history)
    yield "<h2>What was done</h2><table>"
    for name, number in document["looked_at"].items():
        yield f"<tr><td>{escape(name)}</td><td>{number:,}</td></tr>"
    yield "</table>"
    if document["examples"]:
        yield "<h2>Findings</h2><table>"
        yield from (f"<tr><td>{'</td><td>'.join(map(escape, each))}</td></tr>" for each in document["examples"])
        yield "</table>"
    faults = history.faults()
    shown = "All of them" if len(faults) <= _FAULTS_SHOWN else f"The first {_FAULTS_SHOWN} of {len(faults):,}"
    yield f"<h2>Faults</h2><details><summary>{shown}</summary><table>"
    for began, ended, name, detail in faults[:_FAULTS_SHOWN]:
        yield f"<tr><td>{began:.1f} to {ended:.1f} s</td><td>{escape(name)}</td><td>{escape(detail)}</td></tr>"
    yield "</table></details></body></html>"


def _kept(number: int) -> str:
    return f'<span class="no">broken {number:,} times</span>' if number else '<span class="yes">kept</span>'


def _plot(history: History) -> str:
    rates = dict(history.acknowledged_per_second())
    end = max(rates, default=0) + 1
    highest = max(rates.values(), default=1)
    step = max(1, -(-end // 500))
    points = []
    for begin in range(0, end, step):
        rate = sum(rates.get(second, 0) for second in range(begin, begin + step)) / step
        points.append(f"{begin * _WIDTH / end:.1f},{_HEIGHT - rate * _HEIGHT / highest:.1f}")
    marks = "".join(f"M{began * _WIDTH / end:.1f} 0V{_HEIGHT}" for began, *_ in history.faults())
    lines = f'<path d="{marks}" stroke="#b00020" stroke-width=".6" opacity=".35"/>'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{lines}<polyline fill="none" stroke="#0b6e4f"'
        f' stroke-width="1.5" points="{" ".join(points)}"/></svg><p><small>0 to {highest}/s, 0 to {end} s</small></p>'
    )
