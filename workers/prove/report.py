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

from workers.html import document as page_of
from workers.html import lines, per_second
from workers.prove.checker import RULES, Verdict
from workers.prove.history import History
from workers.prove.options import ProveOptions

_FAULTS_SHOWN = 300


def as_json(options: ProveOptions, verdict: Verdict, seconds: float) -> dict[str, Any]:
    """Everything that was found, for programs."""
    return {
        "passed": verdict.clean,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "nodes": options.nodes,
        "writers": options.writers,
        "importers": options.importers,
        "pause_seconds": options.pause_seconds,
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
    title = "Nothing was lost, nothing was doubled" if document["passed"] else "Promises were broken"
    (folder / "verdict.html").write_text(page_of(title, _page(document, history)), "utf-8")


def _page(document: Mapping[str, Any], history: History) -> Iterator[str]:
    yield (
        f"<p>{document['nodes']} nodes, {document['writers']} writers, {document['seconds']} s. Repeat it: <code>"
        f"orthanc-cluster prove --seconds {document['seconds']:.0f} --nodes {document['nodes']}"
        f" --writers {document['writers']} --importers {document['importers']} --pause {document['pause_seconds']}"
        f" --seed {document['seed']}</code></p>"
    )
    yield "<h2>Promises</h2><table>"
    for rule, number in document["rules"].items():
        yield f"<tr><td>{escape(rule)}</td><td>{_kept(number)}</td></tr>"
    yield "</table><h2>Acknowledged instances per second; a line where a fault began</h2>"
    yield lines([per_second(history.acknowledged_at())], "/s", marks=[began for began, *_ in history.faults()])
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
    yield "</table></details>"


def _kept(number: int) -> str:
    return f'<span class="no">broken {number:,} times</span>' if number else '<span class="yes">kept</span>'
