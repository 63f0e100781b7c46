"""A disk that is full while others write and delete on it."""

import subprocess
import sys
from pathlib import Path

import pytest

_FILL = """
import errno, os, sys, threading, time
from pathlib import Path
from workers.prove.equipment import SmallDisk
folder = Path(sys.argv[1])
(folder / "storage").mkdir()
with SmallDisk(folder / "disk", folder / "storage", 8 << 20) as disk:
    busy = True
    def write(name):
        while busy:
            try:
                (folder / "storage" / "f0" / name).write_bytes(bytes(100_000))
            except OSError as error:
                assert error.errno == errno.ENOSPC
            time.sleep(0.001)
    threads = [threading.Thread(target=write, args=[str(number)], daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        with disk.full():
            status = os.statvfs(folder / "storage" / "ff")
            # What the writers truncate meanwhile is theirs.
            assert status.f_bavail * status.f_frsize <= 2 * 100_000 + 2 * status.f_frsize, status
        assert not (folder / "disk" / "ballast").exists()
    busy = False
    for thread in threads:
        thread.join()
    (folder / "storage" / "f7" / "fits again").write_bytes(bytes(1_000_000))
"""
_OWN_MOUNTS = ["unshare", "--mount", "--propagation", "private"]


def test_nothing_fits_in_the_block_and_all_does_after_it(tmp_path: Path) -> None:
    try:
        subprocess.run([*_OWN_MOUNTS, "mount", "-t", "tmpfs", "none", str(tmp_path)], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here: that needs root and unshare")

    command = [*_OWN_MOUNTS, sys.executable, "-c", _FILL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
