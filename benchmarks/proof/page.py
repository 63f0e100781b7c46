"""The page of a pack: what holds, what was reached and missed, and how to see for oneself."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.proof.contents import HISTORY, REPORT, SUMS, VERDICT_PAGE, WHOLE_HISTORY
from benchmarks.reporting.documents import PACK, Document, Explanations, documents, figures
from benchmarks.reporting.page import html, summary
from benchmarks.reporting.plots import plots_of
from workers.html import lines

_LOG = "schema_upgrade*.f2.log"
_DRAWN = ("orthanc_baseline", "latency", "scale_out")
"""Of the others the report has plots too."""


def page(
    folder: Path,
    pack: Mapping[str, Any],
    verdict: Mapping[str, Any] | None,
    history: Mapping[str, Any] | None,
    faults: Sequence[str],
) -> str:
    """For a pack whose other files are all there; `history` in its compact form; `faults`: what is wrong with it."""
    results = documents(folder)
    body = [
        *_head(pack, faults),
        *(_prove(folder, verdict, history) if verdict and history else ()),
        *_upgrade(folder, results),
        *summary(list(figures(results)), Explanations.of(folder)),
        '<h2>Beside Orthanc, over distance, on more nodes</h2><div class="plots">',
        *(plot for name in _DRAWN for part in results.get(name, {}).values() for plot in plots_of(part["details"])),
        f'</div><p>All plots and numbers: <a href="{REPORT}">{REPORT}</a></p>',
        *_parts(pack, results),
    ]
    return html(f"Proof pack of orthanc-cluster {pack['version']}", body)


def _head(pack: Mapping[str, Any], faults: Sequence[str]) -> Iterator[str]:
    machine = pack["machine"]
    yield (
        f"<p>Commit {escape(pack['commit'])}, made {escape(pack['made'])} UTC on {escape(machine['system'])}, "
        f"{machine['cores']} cores, {machine['memory_gigabytes']} GB, Python {escape(pack['python'])}; "
        f"{escape(', '.join(f'{name} {number}' for name, number in pack['packages'].items()))}.</p>"
    )
    if faults:
        yield '<p class="no">This pack does not hold:</p><ul>'
        yield from (f"<li>{escape(text)}</li>" for text in faults)
        yield "</ul>"
    else:
        yield '<p class="yes">Every part is there, every verdict passed, every missed figure is explained.</p>'
    yield (
        f"<p>See for yourself: <code>sha256sum -c {SUMS}</code> here, or, with a checkout, "
        "<code>python -m benchmarks.proof_pack --check FOLDER</code>, which also makes the sums of the verdict again "
        "from the history.</p>"
    )


def _prove(folder: Path, verdict: Mapping[str, Any], history: Mapping[str, Any]) -> Iterator[str]:
    looked_at = verdict["looked_at"]
    stored = looked_at.get("store done", 0)
    faults = sum(number for name, number in looked_at.items() if name.startswith("fault "))
    broken = sum(verdict["rules"].values())
    yield "<h2>Faults: what was acknowledged is there, once</h2>"
    kept = f'<span class="{"no" if broken else "yes"}">{broken:,} violations</span>'
    yield (
        f"<p>{kept} of {len(verdict['rules'])} promises, {stored:,} instances acknowledged, {faults:,} faults of "
        f"{len(verdict['faults'])} kinds in {verdict['seconds'] / 60:,.0f} minutes; {verdict['nodes']} nodes, "
        f"{verdict['writers']} writers, "
        f"seed {verdict['seed']}. {escape(str(verdict.get('note', '')))}</p>"
    )
    step = history["step_seconds"]
    acknowledged = history["counts"].get("store done", [])
    caption = f"Acknowledged instances a second, means of {step} s; a line where a fault began"
    yield f"<figure><figcaption>{caption}</figcaption>"
    points = [(place * step, number / step) for place, number in enumerate(acknowledged)]
    yield lines([points], "/s", marks=[began for began, *_ in history["faults"]])
    yield "</figure><details><summary>Promises, operations, faults</summary><table>"
    for name, number in (*verdict["rules"].items(), *looked_at.items()):
        yield f"<tr><td>{escape(name)}</td><td>{number:,}</td></tr>"
    yield f"</table></details><p>{_link(VERDICT_PAGE)}; history in compact form: {_link(HISTORY)} (xz, JSON)"
    if (folder / WHOLE_HISTORY).exists():
        yield f"; whole: {_link(WHOLE_HISTORY)}"
    yield f", whole {history['whole']['bytes'] / 1e6:,.0f} MB, SHA-256 {escape(history['whole']['sha256'])}</p>"


def _upgrade(folder: Path, results: Mapping[str, Document]) -> Iterator[str]:
    """What the upgrade beside writers met; its figures are among those of all benchmarks."""
    for name, found in results.items():
        part = found.get("f2") if name.startswith("schema_upgrade") else None
        if part is None:
            continue
        sizes = part["sizes"]
        yield f"<h2>Upgrade of {sizes['instances']:,} instances beside {sizes['writers']} writers</h2><table>"
        for figure in part["figures"]:
            met = "yes" if figure["met"] else "no"
            cells = (escape(figure["name"]), escape(figure["wanted"]), escape(figure["measured"]))
            yield f'<tr><td>{"</td><td>".join(cells)}</td><td class="{met}">{met}</td></tr>'
        yield "</table>"
        drawn = part["details"].get("instances_each_second")
        if drawn:
            yield "<figure><figcaption>Instances of the writers each second; a line where a step begins</figcaption>"
            points = [(float(second), float(number)) for second, number in enumerate(drawn["acknowledged"])]
            yield lines([points], "/s", marks=list(drawn["steps_began"].values()))
            yield "</figure>"
    for log in sorted(folder.glob(_LOG)):
        text = escape(log.read_text("utf-8"))
        yield f"<details><summary>Log, line by line</summary><pre>{text}</pre></details><p>{_link(log.name)}</p>"


def _parts(pack: Mapping[str, Any], results: Mapping[str, Document]) -> Iterator[str]:
    yield "<h2>Parts, and the command that repeats each</h2>"
    yield "<p>From the root of a checkout, after <code>make install</code>.</p><table>"
    yield "<tr><th>question</th><th>command</th><th>files</th><th>measured</th></tr>"
    for part in pack["parts"]:
        links = ", ".join(_link(name) for name in part["files"])
        where = _where(part["files"], results)
        command = f"<code>{escape(part['command'])}</code>"
        yield f"<tr><td>{escape(part['question'])}</td><td>{command}</td><td>{links}</td><td>{where}</td></tr>"
    yield f"</table><p>{_link(PACK)}, {_link(SUMS)}</p>"


def _where(files: Sequence[str], results: Mapping[str, Document]) -> str:
    """When, on what, and how busy the machine was."""
    texts = []
    for name in files:
        for part, found in results.get(name.removesuffix(".json"), {}).items():
            machine = found["machine"]
            load = machine.get("load_average_before")
            texts.append(
                f"{part}: {machine['date']}, {machine['cores']} cores, PostgreSQL {machine['postgresql'].split()[0]}"
                + (f", load before {load[0]}" if load else "")
            )
    return "<br>".join(f"<small>{escape(text)}</small>" for text in texts)


def _link(name: str) -> str:
    return f'<a href="{escape(name)}">{escape(name)}</a>'
