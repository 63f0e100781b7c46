"""HAProxy in front of pods: a fixed number of places, which are told by its runtime API who is behind them.

It stands for what forwards connections to a Service: connections that are open stay where they are when a pod is taken
out. It looks at no pod itself and tries no second one (`retries 0`), so senders see everything that goes wrong.
"""

import shutil
import socket
import tempfile
from pathlib import Path
from typing import Self

from tests.support.servers import skip_or_fail
from workers.local.ports import free_port
from workers.local.processes import ManagedProcess

PLACES = 32
_START_SECONDS = 30
_SBIN = "/usr/sbin:/usr/local/sbin"
"""Where packages put the program, and what an ordinary user's PATH lacks."""

_CONFIGURATION = """\
global
    stats socket {socket} mode 600 level admin
    maxconn 2000
    nbthread 1
defaults
    mode tcp
    retries 0
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen service
    bind 127.0.0.1:{port}
    balance roundrobin
    server-template pod 1-{places} 127.0.0.1:1 disabled
"""


def find_haproxy() -> Path | None:
    """The program, where it is installed."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path=_SBIN)
    return None if program is None else Path(program)


def haproxy_program() -> Path:
    """The program; skips the test where it is not installed."""
    return find_haproxy() or skip_or_fail("haproxy", "HAProxy")


class HAProxy:
    """One Service. Context manager: listens inside, gone after."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        # Not in the test's folder: a unix socket's path ends at 107 bytes.
        self._sockets = tempfile.TemporaryDirectory(prefix="haproxy-")
        self._socket = Path(self._sockets.name) / "socket"
        configuration = folder / "haproxy.cfg"
        configuration.write_text(_CONFIGURATION.format(socket=self._socket, port=self.port, places=PLACES), "utf-8")
        self._process = ManagedProcess(
            "haproxy", [program, "-db", "-f", configuration], log_path=folder / "haproxy.log"
        )
        self._places: dict[str, str] = {}
        self._free = [f"pod{number}" for number in range(1, PLACES + 1)]

    def __enter__(self) -> Self:
        try:
            self._process.start()
            self._process.wait_ready(self._answers, _START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.pid is not None:
            self._process.kill()
        self._sockets.cleanup()

    def add(self, pod: str, port: int) -> None:
        """New connections may go to that loopback port from now on."""
        if pod in self._places:
            return
        place = self._places[pod] = self._free.pop(0)
        self._tell(f"set server service/{place} addr 127.0.0.1 port {port}")
        self._tell(f"set server service/{place} state ready")

    def remove(self, pod: str) -> None:
        """No new connection to that pod; those that there are stay."""
        place = self._places.pop(pod, None)
        if place is not None:
            self._tell(f"set server service/{place} state maint")
            self._free.append(place)

    def _answers(self) -> bool:
        try:
            return "Name: HAProxy" in self._ask("show info")
        except OSError:
            return False

    def _tell(self, command: str) -> None:
        answer = self._ask(command).strip()
        # A new address is answered with what has changed, anything else with nothing.
        assert not answer or "change" in answer, f"{command}: {answer}"

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._socket))
            connection.sendall(f"{command}\n".encode())
            pieces = []
            while piece := connection.recv(65536):
                pieces.append(piece)
        return b"".join(pieces).decode()
