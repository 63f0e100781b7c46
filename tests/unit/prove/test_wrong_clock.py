"""A clock that is wrong: in a process of its own, as its functions stay replaced."""

import subprocess
import sys
from pathlib import Path

_ASK = """
import logging, sys, time
from pathlib import Path
from workers.prove.wrong_clock import Clock, falsify
right, ran = time.time(), time.monotonic()
falsify(Clock(Path(sys.argv[1])))
def near(seconds): return abs(seconds - right - int(sys.argv[2])) < 60
assert near(time.time()) and near(time.time_ns() / 1e9) and near(time.mktime(time.localtime()))
assert near(logging.LogRecord("", 0, "", 0, "", (), None).created)
assert time.gmtime(0).tm_year == 1970 and time.monotonic() - ran < 60
# Which keeps such a function as an attribute of a class
print(logging.Formatter("%(asctime)s").format(logging.LogRecord("", 0, "", 0, "", (), None)))
"""


def test_the_time_of_day_is_wrong_and_durations_are_right(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("-90000")

    command = [sys.executable, "-c", _ASK, str(file), "-90000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
