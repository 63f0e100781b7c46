"""Free TCP ports on the loopback address."""

import random
import socket

# Linux hands out 32768 and above to outgoing connections, so a port chosen there can be taken by any client before
# the server that it was chosen for binds it, or while that server restarts.
LOWEST, HIGHEST = 10240, 32767
ATTEMPTS = 500


def free_port() -> int:
    """A port of 10240 to 32767 that nobody listens on now. Raises OSError after hundreds of tries."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """`count` different free ports.

    They are drawn at random, so that two programs which ask at the same time hardly ever get the same answer; who
    starts a server on one must still be prepared to find it taken.
    """
    chosen: list[int] = []
    for _ in range(ATTEMPTS):
        if len(chosen) == count:
            break
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311
        if port not in chosen and is_free(port):
            chosen.append(port)
    if len(chosen) < count:
        raise OSError(f"found {len(chosen)} of {count} free TCP ports on 127.0.0.1")
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: connections that were closed a moment ago do not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True
