"""Fuzzes both targets in the background while another command runs, and judges when that has ended.

`python -m tests.fuzz.beside SECONDS FOLDER [COMMAND…]`. The fuzzers have the lowest priority, so the command hardly
notices. FOLDER keeps logs and corpora, and the next run goes on with these. Exit status: that of the command if it
failed, else 1 if a target broke (its inputs are printed, in base64), else 0.
"""

import base64
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TARGETS = ("pdus", "header")
ROOT = Path(__file__).parents[2]

START_AND_END_SECONDS = 300
"""Imports, and the last input, of a process that gets only what others leave."""

_FOUND = ("crash-*", "timeout-*", "oom-*", "leak-*")


class Fuzzer:
    """One target's process, already running."""

    def __init__(self, name: str, seconds: int, folder: Path) -> None:
        self.name = name
        self._seconds = seconds
        self._folder = folder.absolute() / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = self._folder / "log"
        command = ["nice", "-n", "19", sys.executable, "-m", "tests.fuzz", name, str(seconds), "corpus"]
        with self._log.open("wb") as log:
            # libFuzzer leaves what it finds in the working folder
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()

    def judge(self) -> bool:
        """Wait for its end, say what became of it, and whether all is well."""
        try:
            status: int | None = self._process.wait(self._seconds + START_AND_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            status = None
        log = self._log.read_text("utf-8", "replace")
        done = re.search(r"Done (\d+) runs in (\d+) second", log)
        coverage = re.findall(r"cov: (\d+)", log)
        found = sorted(path for pattern in _FOUND for path in self._folder.glob(pattern))
        if status == 0 and done and not found:
            print(f"fuzz {self.name}: {done[1]} executions in {done[2]} s, coverage {coverage[-1]}, nothing found")
            return True
        print(f"fuzz {self.name}: BROKEN, status {status}; its log ends with\n{log[-3000:]}")
        for path in found:
            print(f"fuzz {self.name}: {path.name} is, in base64,\n{base64.b64encode(path.read_bytes()).decode()}")
        return False


def main(seconds: str, folder: str, *command: str, targets: Sequence[str] = TARGETS) -> int:
    """The exit status."""
    if importlib.util.find_spec("atheris") is None:
        print("fuzz: there is no atheris here (it has wheels for x86-64 Linux only), so nothing is fuzzed")
        return subprocess.run(command).returncode if command else 0
    fuzzers = [Fuzzer(name, int(seconds), Path(folder)) for name in targets]
    try:
        status = subprocess.run(command).returncode if command else 0
        if status == 0:
            judgements = [fuzzer.judge() for fuzzer in fuzzers]
            status = 0 if all(judgements) else 1
        return status
    finally:
        for fuzzer in fuzzers:
            fuzzer.kill()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
