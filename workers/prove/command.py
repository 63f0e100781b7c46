"""``orthanc-cluster prove``."""

import contextlib
import logging
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

if TYPE_CHECKING:
    from workers.prove.options import ProveOptions


@click.command("prove")
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="How long faults go on.")
@click.option("--seed", type=int, help="That of an earlier run: the same clients and the same faults again.")
@click.option("--nodes", type=click.IntRange(2, 16), default=3, show_default=True, help="Ingest nodes.")
@click.option("--writers", type=click.IntRange(2, 256), default=8, show_default=True, help="Clients that store.")
@click.option("--importers", type=click.IntRange(0, 16), default=1, show_default=True, help="Clients that import.")
@click.option("--fault", "faults", multiple=True, help="Only this one, by name (README); all if not given.")
@click.option("--no-faults", is_flag=True, help="Histories without faults: what must hold on a quiet day.")
@click.option("--pause", type=float, default=1.0, show_default=True, help="Seconds between faults, on average.")
@click.option("--own-mounts", is_flag=True, hidden=True, help="Said by itself: mounts here are nobody else's.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder for history, verdict, page and logs.")
def prove(
    seconds: float,
    seed: int | None,
    nodes: int,
    writers: int,
    importers: int,
    faults: tuple[str, ...],
    no_faults: bool,
    pause: float,
    own_mounts: bool,
    out: Path | None,
) -> None:
    """Start a cluster, let clients work on it, break things, and judge what is left.

    Exit status 0: every promise was kept; 1: at least one was broken.
    """
    if out is not None and out.exists() and any(out.iterdir()):
        raise click.UsageError(f"--out {out} is not empty")
    chosen = () if no_faults else _known(faults)
    if "disk full" in chosen and not own_mounts:
        _begin_with_own_mounts()
    console = Console()
    # Not above: its processes need POSIX, and every command's help is shown without.
    from workers.prove.equipment import why_not
    from workers.prove.options import ProveOptions

    for name, reason in ((name, why_not(name, own_mounts=own_mounts)) for name in chosen):
        if reason is not None:
            console.print(f"left out: {name}, as {reason}", style="yellow", highlight=False)
            if faults:
                raise click.UsageError(f"--fault {name!r}: {reason}")
    with tempfile.TemporaryDirectory(prefix="orthanc-cluster-prove-") as temporary:
        folder = out or Path(temporary)
        options = ProveOptions(
            folder=folder,
            seed=secrets.randbits(31) if seed is None else seed,
            seconds=seconds,
            nodes=nodes,
            writers=writers,
            importers=importers,
            faults=tuple(name for name in chosen if why_not(name, own_mounts=own_mounts) is None),
            pause_seconds=pause,
        )
        sys.exit(_run(options, console))


def _known(wanted: tuple[str, ...]) -> tuple[str, ...]:
    from workers.prove.faults import FAULTS

    known = tuple(name for group in FAULTS.values() for name in group)
    if unknown := set(wanted) - set(known):
        raise click.UsageError(f"--fault {min(unknown)!r}: there are {', '.join(known)}")
    return wanted or known


def _begin_with_own_mounts() -> None:
    """Become the same command in a mount namespace of its own, where that is allowed: it ends with the last process.

    Not for ordinary users: they would have to be root in a namespace, and PostgreSQL refuses to run as that.
    """
    namespace = ["unshare", "--mount", "--propagation", "private"]
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    with contextlib.suppress(OSError):
        if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0:
            own = [sys.executable, "-m", "workers", *sys.argv[1:], "--own-mounts"]
            os.execvp(namespace[0], [*namespace, *own])  # noqa: S606


def _run(options: "ProveOptions", console: Console) -> int:
    from workers.prove.history import History
    from workers.prove.report import as_json, print_verdict, write_report
    from workers.prove.run import HISTORY, clean, run_prove

    console.print(f"seed {options.seed}")
    # What the clients' own connections say of the faults is no finding.
    (options.folder / "logs").mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=options.folder / "logs" / "prove.log", level=logging.WARNING)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=options.seconds, counts="")
        verdict = run_prove(
            options,
            lambda now: bar.update(
                task,
                description=now.phase,
                completed=min(now.seconds, options.seconds),
                counts=f"{now.acknowledged:,} acknowledged, {now.faults:,} faults",
            ),
        )
    document = as_json(options, verdict, options.seconds)
    with History.read(options.folder / HISTORY) as history:
        write_report(options.folder, document, history)
    print_verdict(document, console)
    if verdict.clean:
        clean(options.folder)
    return 0 if verdict.clean else 1
