"""Puts a pack together: what a run of `prove` left, what benchmarks wrote, where and with what; then sums of all."""

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.proof import compact
from benchmarks.proof.contents import HISTORY, MEASURED, PROVE, SUMS, VERDICT, WHOLE_HISTORY, prove_command
from benchmarks.reporting.documents import PACK
from workers.prove.run import HISTORY as HISTORY_OF_RUN

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("psycopg", "pydicom", "pynetdicom", "celery", "redis", "starlette", "uvicorn", "httptools", "pydantic")


def take_over(run: Path, results: Path, note: str | None) -> None:
    """Copy verdict and compact history of a run of `prove` into the results; `note`: what else the machine did.

    Raises:
        FileNotFoundError: the folder holds no finished run.
    """
    verdict = json.loads((run / "verdict.json").read_text("utf-8"))
    ended = (run / "verdict.json").stat().st_mtime
    verdict |= {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime(ended)),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release().partition("-")[0],
        "commit": commit(),
        **({"note": note} if note else {}),
    }
    (results / VERDICT).parent.mkdir(parents=True, exist_ok=True)
    compact.write(compact.compact(run / HISTORY_OF_RUN), results / HISTORY)
    shutil.copyfile(run / "verdict.html", (results / VERDICT).with_suffix(".html"))
    write_json(results / VERDICT, verdict)


def hand_out(results: Path, run: Path | None, out: Path) -> None:
    """Copy the results, and the whole history of the run if there is one, into another folder."""
    shutil.copytree(results, out, dirs_exist_ok=True)
    if run is not None:
        shutil.copyfile(run / HISTORY_OF_RUN, out / WHOLE_HISTORY)


def describe(folder: Path) -> dict[str, Any]:
    """Write ``pack.json``: version, commit, machine, and for each part its files and the command that repeats it."""
    verdict = json.loads((folder / VERDICT).read_text("utf-8")) if (folder / VERDICT).exists() else None
    parts = [_part(PROVE.question, prove_command(verdict), PROVE.present(folder), folder)] if verdict else []
    parts += [
        _part(each.question, each.command, each.present(folder), folder) for each in MEASURED if each.present(folder)
    ]
    document = {
        "version": version("orthanc-cluster"),
        "commit": commit(),
        "made": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "machine": {
            "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
            "cores": len(os.sched_getaffinity(0)),
            "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        },
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "parts": parts,
    }
    write_json(folder / PACK, document)
    return document


def _part(question: str, command: str, files: list[Path], folder: Path) -> dict[str, Any]:
    names = [file.relative_to(folder).as_posix() for file in files]
    return {"question": question, "command": command, "files": names}


def sign(folder: Path) -> None:
    """Write the SHA-256 of every file of the pack, as ``sha256sum -c`` reads it."""
    lines = [f"{compact.digest(file)}  {file.relative_to(folder).as_posix()}\n" for file in files_of(folder)]
    (folder / SUMS).write_text("".join(lines), "utf-8")


def files_of(folder: Path) -> Iterator[Path]:
    """All files that have sums."""
    return (file for file in sorted(folder.rglob("*")) if file.is_file() and file != folder / SUMS)


def commit() -> str:
    """Of this checkout, with a + where tracked files differ from it; unknown outside of one."""
    found = _git("rev-parse", "--short", "HEAD")
    # Results are what a pack is made of, so they are never committed yet.
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{found}{'+' if changed else ''}" if found else "unknown"


def _git(*arguments: str) -> str:
    try:
        ended = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Indented, for people and for git."""
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
