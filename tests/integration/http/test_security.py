"""Who may do what over HTTP, and what every answer says to a browser."""

import contextlib
import re
import select
import socket
import time
from typing import Any

import httpx
import psycopg
import pytest

from tests.integration.http.conftest import Door, OpenDoor, eventually
from tests.support.dicom import make_file
from tests.support.indices import only_on_postgresql
from workers.http import body
from workers.http.application import METHODS, route_table
from workers.http.authentication import OPEN_PATHS
from workers.http.authorization import QUESTIONS
from workers.http.health import Health, probe_server
from workers.http.protocol import MAXIMUM_HEAD_BYTES, LimitedProtocol
from workers.local.ports import free_ports

USERS = {"admin": "secret of admin", "reader": "secret of reader"}
PARAMETERS = {"name": "1024", "label": "L", "tag": "0010-0010", "key": "archive"}


@pytest.fixture
def secured(open_door: OpenDoor) -> Door:
    return open_door(
        AuthenticationEnabled=True,
        RegisteredUsers=USERS,
        cluster={"ReadOnlyUsers": ["reader"]},
        auth=("admin", USERS["admin"]),
    )


def routes(public_id: str) -> list[tuple[str, str, str]]:
    """Path template, a path of it that exists as far as possible, and method, for all of the application."""
    found = []
    for template in route_table():
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: PARAMETERS.get(match[1], public_id), template)
        found += [(template, path, method) for method in METHODS]
    return found


def everything(database_uri: str) -> list[Any]:
    """All rows of Orthanc's tables that a caller could change, and of the jobs."""
    tables = "Resources MainDicomTags Metadata AttachedFiles Labels Changes ExportedResources"
    with psycopg.connect(database_uri) as connection:
        return [
            connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1").fetchall()  # type: ignore[arg-type]
            for table in tables.split()
        ]


def test_without_credentials_no_route_does_or_tells_anything(secured: Door, database_uri: str) -> None:
    public_id = secured.post(make_file()).json()["ID"]
    before = everything(database_uri)
    walked = routes(public_id)
    assert len(walked) > 300

    with httpx.Client(base_url=secured.client.base_url, trust_env=False) as nobody:
        for template, path, method in walked:
            answer = nobody.request(method, path, content=b"1")
            if template in OPEN_PATHS:
                assert answer.status_code == (200 if method in ("GET", "HEAD") else 405) or method == "HEAD", path
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.content == b""

    assert everything(database_uri) == before


@only_on_postgresql  # it is about the door alone
def test_the_door_that_asks_for_no_password_has_probes_and_nothing_else(secured: Door) -> None:
    public_id = secured.post(make_file()).json()["ID"]
    [port] = free_ports(1)
    cluster = secured.settings.cluster.model_copy(update={"probe_port": port})
    server = probe_server(
        secured.settings.model_copy(update={"cluster": cluster}), Health(lambda: None, lambda: True, lambda: b"")
    )
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as nobody:
            for template, path, method in routes(public_id):
                expected = 404 if template not in OPEN_PATHS else 200 if method in ("GET", "HEAD") else 405
                assert nobody.request(method, path, content=b"1").status_code == expected, (method, path)
    finally:
        server.stop()


def test_read_only_users_read_and_search(secured: Door, database_uri: str) -> None:
    public_id = secured.post(make_file(PatientID="P")).json()["ID"]
    before = everything(database_uri)

    with httpx.Client(
        base_url=secured.client.base_url, auth=("reader", USERS["reader"]), trust_env=False, timeout=30
    ) as reader:
        for template, path, method in routes(public_id):
            if method in ("GET", "HEAD") or template in OPEN_PATHS:
                continue
            status = reader.request(method, path, content=b"{}").status_code
            asks = template in QUESTIONS and method == "POST"
            assert (status in (403, 405)) != asks, (method, path, status)
        found = reader.post("/tools/find", json={"Level": "Instance", "Query": {"PatientID": "P"}}).json()
        assert found == [public_id]
        assert reader.post("/tools/count-resources", json={"Level": "Study", "Query": {}}).json() == {"Count": 1}
        assert reader.post("/tools/lookup", content="P").json()[0]["Type"] == "Patient"
        assert reader.get(f"/instances/{public_id}/file").content[128:132] == b"DICM"
        refused = reader.delete(f"/instances/{public_id}")
        assert (refused.status_code, refused.json()["OrthancStatus"]) == (403, 45)

    assert everything(database_uri) == before
    assert secured.client.delete(f"/instances/{public_id}").status_code == 200


OTHER_SITE = {
    "form of another site": {"Origin": "https://evil.example"},
    "opaque origin": {"Origin": "null"},
    "origin that is none": {"Origin": "http://[::1"},
    "same host, other port": {"Origin": "http://127.0.0.1:1"},
    "fetch metadata": {"Sec-Fetch-Site": "cross-site"},
    "sub-domain": {"Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("headers", OTHER_SITE.values(), ids=OTHER_SITE.keys())
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_pages_of_other_sites_change_nothing(door: Door, headers: dict[str, str], method: str) -> None:
    path = {"POST": "/instances", "PUT": "/studies/x/labels/L", "DELETE": "/changes"}[method]
    answer = door.client.request(method, path, content=make_file(), headers=headers)
    assert answer.status_code == 403
    assert door.client.get("/statistics").json()["CountInstances"] == 0


def test_own_pages_and_programs_may(door: Door) -> None:
    for headers in ({"Origin": str(door.client.base_url).rstrip("/")}, {"Sec-Fetch-Site": "same-origin"}, {}):
        answer = door.client.post("/instances", content=make_file(), headers=headers)
        assert answer.json()["Status"] == "Success"


def test_every_answer_has_the_headers(secured: Door) -> None:
    instance = secured.post(make_file()).json()["ID"]
    paths = ("/livez", "/system", f"/instances/{instance}/file", "/nothing", "/instances/unknown")
    answers = [secured.client.get(path) for path in paths]
    answers += [httpx.get(f"{secured.client.base_url}/system", trust_env=False), secured.client.post("/system")]
    assert {answer.status_code for answer in answers} == {200, 401, 404, 405}
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "strict-transport-security" not in answer.headers


def test_no_password_is_in_a_log(secured: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    wrong = "a password that is wrong"
    for auth in (("admin", wrong), (wrong, "x"), ("reader", USERS["admin"])):
        assert httpx.get(f"{secured.client.base_url}/system", auth=auth, trust_env=False).status_code == 401
    secured.client.get("/system")
    assert "authentication of a caller at 127.0.0.1 failed" in caplog.text
    for secret in (wrong, *USERS.values()):
        assert secret not in caplog.text


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_beyond_the_limit_is_refused(open_door: OpenDoor, announced: bool) -> None:
    door = open_door(MaximumRequestBodySizeMB=1)
    body = make_file(PixelData=bytes(1 << 20))
    answer = door.post(body if announced else iter([body[:1000], body[1000:]]))
    assert answer.status_code == 413
    assert door.files() == []
    stored = door.post(make_file(PixelData=bytes(900_000))).json()
    path = f"{stored['Path']}/attachments/1024"
    answer = door.client.put(path, content=body if announced else iter([body[:1000], body[1000:]]))
    assert answer.status_code == 413
    assert door.client.get(path).status_code == 404
    assert len(door.files()) == 1
    assert door.client.put(path, content=body[:900_000]).status_code == 200


def test_no_route_waits_for_a_body_that_is_too_long(door: Door) -> None:
    public_id = door.post(make_file()).json()["ID"]
    kept = door.client.get(f"/instances/{public_id}/attachments/dicom/md5").text
    takers = set()
    for template, path, method in routes(public_id):
        if method not in ("POST", "PUT") or template in OPEN_PATHS:
            continue
        with connect(door) as peer:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n"
            peer.sendall(head.encode())
            status = int(peer.recv(13)[9:12])
        assert status < 500, (method, path)
        takers |= {template} if status == 413 else set()
    assert {"/instances", "/tools/find", "/instances/{id}/attachments/{name}"} <= takers
    assert door.client.get(f"/instances/{public_id}/attachments/dicom/md5").text == kept


def connect(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.server.port), timeout=10)


def test_a_head_without_an_end_is_refused(door: Door) -> None:
    with connect(door) as peer:
        peer.sendall(b"GET /system HTTP/1.1\r\nHost: x\r\n")
        sent = 0
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 50 * MAXIMUM_HEAD_BYTES:
                sent += peer.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        assert sent < 50 * MAXIMUM_HEAD_BYTES
    assert door.client.get("/livez").status_code == 200


@only_on_postgresql  # it is about the door alone
def test_slow_heads_end_and_disturb_nobody(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent, half a head, one byte after the other, and silent after a first request."""
    monkeypatch.setattr(LimitedProtocol, "head_seconds", 1.0)
    door = open_door()
    peers = [connect(door) for _ in range(30)]
    for number, peer in enumerate(peers):
        peer.sendall((b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\nX:")[number % 3])
    started = time.monotonic()
    while time.monotonic() - started < 2:
        assert door.post(make_file()).status_code == 200
        with contextlib.suppress(OSError):
            peers[2].sendall(b"x")
    for peer in peers:
        with peer, contextlib.suppress(ConnectionResetError):
            assert peer.recv(1) == b""
    eventually(lambda: door.client.get("/livez").status_code == 200)


@only_on_postgresql  # it is about the door alone
@pytest.mark.parametrize("path", ["/instances", "/tools/find"])
def test_slow_bodies_end_and_disturb_nobody(door: Door, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PROGRESS_SECONDS", 1)
    peers = [connect(door) for _ in range(10)]
    for peer in peers:
        peer.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n".encode())
    answers: dict[socket.socket, bytes] = {}
    deadline = time.monotonic() + 10
    while len(answers) < len(peers):
        assert time.monotonic() < deadline
        assert door.post(make_file()).status_code == 200
        for peer in set(peers) - set(answers):
            try:
                if select.select([peer], [], [], 0.01)[0]:
                    answers[peer] = peer.recv(13)
                else:
                    peer.sendall(b"x")
            except ConnectionError:
                answers[peer] = b""  # a byte that came too late took the answer along
    assert set(answers.values()) <= {b"HTTP/1.1 408 ", b""}
    assert b"HTTP/1.1 408 " in answers.values()
    for peer in peers:
        peer.close()


@only_on_postgresql  # it is about the door alone
def test_a_gzip_bomb_is_refused_while_others_go_on(door: Door) -> None:
    import gzip
    import threading

    bomb = gzip.compress(bytes(300 << 20), 1)
    answers: list[httpx.Response] = []
    sending = threading.Thread(target=lambda: answers.append(door.post(bomb, Content_Encoding="gzip")))
    sending.start()
    while sending.is_alive():
        assert door.post(make_file()).json()["Status"] == "Success"
    assert answers[0].status_code in (400, 413)
    eventually(lambda: len(door.files()) == door.client.get("/statistics").json()["CountInstances"])


def test_addresses_to_bind(open_door: OpenDoor) -> None:
    door = open_door(HttpBindAddresses=["127.0.0.1", "127.0.0.2"])
    for address in ("127.0.0.1", "127.0.0.2"):
        assert httpx.get(f"http://{address}:{door.server.port}/livez", trust_env=False).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.3:{door.server.port}/livez", trust_env=False)
