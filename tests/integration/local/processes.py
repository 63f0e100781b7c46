"""What the tests ask about processes that are not their children."""

from pathlib import Path


def gone(pid: int) -> bool:
    """Whether the process has ended; it may still be listed where process 1 does not wait for orphans."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"
