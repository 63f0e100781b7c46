"""A TCP proxy that breaks the wire on purpose."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Forwards one port to another until told otherwise. Context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._swallow_after: bytes | None = None
        self.swallowed = threading.Event()
        self.connections = 0
        self._refusing = False

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Close every connection at once."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def refuse(self, refusing: bool = True) -> None:
        """Close new connections at once (an outage), or no longer."""
        self._refusing = refusing

    def swallow_answer_after(self, request: bytes) -> None:
        """Once the client has sent `request`, pass it on, throw the answer away, and close."""
        self.swallowed.clear()
        self._swallow_after = request

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                continue
            self.connections += 1
            server = socket.create_connection(self._target)
            with self._lock:
                self._pairs.append((client, server))
            armed = threading.Event()
            threading.Thread(target=self._to_server, args=(client, server, armed), daemon=True).start()
            threading.Thread(target=self._to_client, args=(client, server, armed), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, armed: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._swallow_after is not None and self._swallow_after in data:
                    self._swallow_after = None
                    armed.set()
                server.sendall(data)
        _close(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket, armed: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if armed.is_set():
                    self.swallowed.set()
                    break
                client.sendall(data)
        _close(client, server)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
