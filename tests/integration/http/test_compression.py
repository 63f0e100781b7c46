"""Option HttpCompressionEnabled, and connections that are used again and again."""

import gzip
import socket
import zlib

import pytest

from tests.integration.http.conftest import Door, OpenDoor
from tests.support.dicom import make_file
from workers.http import compression


@pytest.fixture
def compressing(open_door: OpenDoor) -> Door:
    door = open_door(HttpCompressionEnabled=True)
    for number in range(25):
        door.post(make_file(InstanceNumber=number + 1)).raise_for_status()
    return door


def raw(door: Door, path: str, accepted: str = "gzip") -> tuple[dict[str, str], bytes]:
    with door.client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
        return dict(answer.headers), b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", ["/system", "/instances?expand", "/changes", "/instances"])
def test_json_is_smaller_and_the_same(compressing: Door, path: str) -> None:
    plain_headers, plain = raw(compressing, path, "identity")
    headers, packed = raw(compressing, path)
    assert gzip.decompress(packed) == plain
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
    assert len(packed) < len(plain) * 0.7
    assert "content-encoding" not in plain_headers
    if "content-length" in plain_headers:  # whole ones say how long they are
        assert int(headers["content-length"]) == len(packed)


def test_pieces_can_be_read_when_they_come(compressing: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.index.resources.IDS_PER_PAGE", 10)
    monkeypatch.setattr(compression, "_LOOP_BYTES", 100)  # by threads, too
    _, plain = raw(compressing, "/instances", "identity")
    inflate = zlib.decompressobj(wbits=31)
    pieces = []
    with compressing.client.stream("GET", "/instances", headers={"Accept-Encoding": "gzip"}) as answer:
        pieces += [inflate.decompress(piece) for piece in answer.iter_raw()]
    assert len([piece for piece in pieces if piece]) >= 2
    assert b"".join(pieces) == plain
    assert inflate.eof


def test_what_is_not_worth_it_or_no_json_is_sent_as_it_is(compressing: Door) -> None:
    instance = compressing.client.get("/instances").json()[0]
    for path in (
        "/statistics",
        f"/instances/{instance}/file",
        f"/instances/{instance}/metadata/ReceptionDate",
        "/tools/metrics-prometheus",
        "/tools/now",
    ):
        headers, _ = raw(compressing, path)
        assert "content-encoding" not in headers, path
    with compressing.client.stream("GET", "/changes", headers={"Accept": "text/event-stream"}) as answer:
        assert "content-encoding" not in answer.headers
        assert next(answer.iter_lines()) == "retry: 2000"


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
        ("GZIP", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("deflate, x-gzip", True),
        ("gzip" * 5000, False),
    ],
)
def test_only_for_those_who_take_it(compressing: Door, accepted: str, is_packed: bool) -> None:
    headers, _ = raw(compressing, "/system", accepted)
    assert ("content-encoding" in headers) == is_packed


def test_not_unless_it_is_wanted(door: Door) -> None:
    assert "content-encoding" not in raw(door, "/system")[0]


def test_one_connection_serves_many_requests(compressing: Door) -> None:
    """Also after errors, empty answers, refused methods and several requests that are sent at once."""
    instance = compressing.client.get("/instances").json()[0]
    path = f"/instances/{instance}"
    asked = [
        (b"GET", "/system", 200),
        (b"GET", "/nope", 404),
        (b"PUT", "/system", 405),
        (b"GET", f"{path}/metadata/1024", 404),
        (b"HEAD", "/system", 404),
        (b"GET", "/patients?since=1", 400),
        (b"DELETE", f"{path}/labels/x", 200),
        (b"GET", f"{path}/file", 200),
        (b"GET", "/instances", 200),
        (b"GET", "/changes?since=9999&wait=1", 200),
    ]
    with socket.create_connection(("127.0.0.1", compressing.server.port), timeout=20) as connection:
        connection.sendall(
            b"".join(
                b"%s %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n" % (method, target.encode())
                for method, target, _ in asked
            )
        )
        from http.client import HTTPResponse

        class _Unclosed:
            """http.client would close the socket behind each answer."""

            def __init__(self) -> None:
                self.file = connection.makefile("rb")

            def makefile(self, _: str) -> "_Unclosed":
                return self

            def __getattr__(self, name: str) -> object:
                return getattr(self.file, name)

            def close(self) -> None:
                pass

        stream = _Unclosed()
        for method, _, status in asked:
            answer = HTTPResponse(stream, method=method.decode())  # type: ignore[arg-type]
            answer.begin()
            assert answer.status == status
            assert not answer.will_close
            answer.read()
