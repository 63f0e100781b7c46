"""Uploads files over one kept connection, as cheaply as Python can: a program of its own, standard library only.

    python -I -S upload_client.py HOST PORT FOLDER

Reads its files and connects, says ``ready``, waits for a line on standard input, sends, and writes one JSON object:
the number of failures, the first of them in words, and for each request its start and end in seconds of
CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
import os
import socket
import sys
import time


class Connection:
    """Enough of HTTP/1.1 for a server that answers with Content-Length, opened again when the server closes it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection(self._address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        head = f"POST /instances HTTP/1.1\r\nHost: {self._address[0]}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode("ascii") + body)
        return self._answer()

    def _answer(self) -> tuple[int, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(fields.get("content-length", "0"))
        while len(body) < length:
            body += self._receive()
        if fields.get("connection", "").lower() == "close":
            self._socket.close()
            self._open()
        return int(first.split()[1]), body

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError("the server closed the connection")
        return received


def main() -> None:
    host, port, folder = sys.argv[1:]
    bodies = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            bodies.append(file.read())
    connection = Connection(host, int(port))
    print("ready", flush=True)
    sys.stdin.readline()
    times: list[tuple[float, float]] = []
    failures, complaint = 0, ""
    for body in bodies:
        began = time.monotonic()
        status, answer = connection.post(body)
        times.append((began, time.monotonic()))
        if status != 200 or b'"Success"' not in answer:
            failures += 1
            complaint = complaint or f"{status}: {answer[:300].decode('utf-8', 'replace')}"
    json.dump({"failures": failures, "complaint": complaint, "times": times}, sys.stdout)


if __name__ == "__main__":
    main()
