"""Everything that is not about one route: methods, errors, authentication, probes, the port, the end."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from cluster.dicom.main_tags import SIGNATURES
from cluster.errors import ConfigurationError
from tests.integration.http.conftest import Door, OpenDoor, eventually
from tests.support.dicom import make_file
from tests.support.indices import connect, only_on_postgresql

USERS = {"jane": "sécret:1", "john": "other"}


def test_unknown_route(door: Door) -> None:
    answer = door.client.get("/nope")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.json() == {
        "RequestId": answer.headers["x-request-id"],
        "HttpError": "Not Found",
        "HttpStatus": 404,
        "Message": "Unknown resource",
        "Method": "GET",
        "OrthancError": "Unknown resource",
        "OrthancStatus": 17,
        "Uri": "/nope",
    }


def test_methods_that_a_route_does_not_have(door: Door) -> None:
    for method, path in (
        ("PUT", "/instances"),
        ("PUT", "/instances/x"),
        ("POST", "/instances/x"),
        ("POST", "/patients"),
        ("DELETE", "/statistics"),
        ("POST", "/system"),
        ("OPTIONS", "/instances"),
    ):
        answer = door.client.request(method, path)
        assert (answer.status_code, answer.content) == (405, b"")
        assert method not in answer.headers["allow"]


def test_head_is_refused_as_orthanc_does_but_not_to_probes(door: Door) -> None:
    for path in ("/system", "/instances", "/changes", "/nope"):
        assert door.client.head(path).status_code == 404
    assert door.client.head("/livez").status_code == 200
    assert door.client.head("/readyz").status_code == 200


def test_system(door: Door) -> None:
    system = door.client.get("/system").json()
    assert system["Name"] == "MyOrthanc"
    assert system["DatabaseVersion"] == 6
    assert system["DatabaseServerIdentifier"] == "test-node"
    assert (system["DicomAet"], system["DicomPort"], system["HttpPort"]) == ("ORTHANC", 4242, door.server.port)
    assert system["MainDicomTags"]["Patient"] == SIGNATURES[0]
    assert (system["OverwriteInstances"], system["OverwriteInstancesMode"]) == (False, "Never")
    assert system["StorageAreaPlugin"] is None


def test_statistics(door: Door) -> None:
    for patient in ("P1", "P1", "P2"):
        door.post(make_file(PatientID=patient))
    size = sum(path.stat().st_size for path in door.files())
    assert door.client.get("/statistics").json() == {
        "CountInstances": 3,
        "CountPatients": 2,
        "CountSeries": 2,
        "CountStudies": 2,
        "TotalDiskSize": str(size),
        "TotalDiskSizeMB": 0,
        "TotalUncompressedSize": str(size),
        "TotalUncompressedSizeMB": 0,
    }


def test_readiness(door: Door) -> None:
    assert door.client.get("/readyz").json() == {"ready": True}
    door.reason = "waiting for the database"
    answer = door.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reason": "waiting for the database"})
    assert answer.headers["content-type"].startswith("application/json")
    assert door.client.get("/livez").status_code == 200
    assert door.client.get("/system").status_code == 200
    assert door.client.get("/metrics").status_code == 200
    for path in ("/instances", "/instances/x", "/instances/x/file", "/changes", "/statistics"):
        answer = door.client.get(path)
        assert answer.status_code == 503
        assert answer.json()["OrthancStatus"] == 36
        assert "waiting for the database" in answer.json()["Details"]
        assert int(answer.headers["retry-after"]) > 0


@only_on_postgresql("a server that is away")
def test_database_that_is_away(open_door: OpenDoor) -> None:
    door = open_door(
        postgresql={"ConnectionUri": "postgresql://nobody@127.0.0.1:1/none"},
        cluster={"TransactionTimeBudgetSeconds": 1},
    )
    answer = door.client.get("/statistics")
    assert (answer.status_code, answer.json()["OrthancStatus"]) == (503, 36)
    assert door.client.get("/livez").status_code == 200


def test_no_answer_waits_for_a_delayed_acknowledgement(door: Door) -> None:
    def seconds() -> float:
        started = time.monotonic()
        door.client.get("/livez")
        return time.monotonic() - started

    # Linux delays an ACK by at least 40 ms; the fastest of many shows it on a busy machine too.
    assert min(seconds() for _ in range(20)) < 0.03


def test_metrics(door: Door) -> None:
    door.post(make_file())
    answer = door.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'orthanc_cluster_instances_total{door="http",outcome="Success"}' in answer.text


@pytest.fixture
def guarded(open_door: OpenDoor) -> Door:
    return open_door(AuthenticationEnabled=True, RegisteredUsers=USERS)


def test_strangers_stay_outside(guarded: Door) -> None:
    credentials = [
        httpx.BasicAuth(user, password)._auth_header
        for user, password in (("jane", "other"), ("nobody", "other"), ("jane", ""), ("", ""), ("", "other"))
    ]
    malformed = ["", "Basic", "Basic !!!", "Basic /w==", "Basic amFuZQ==", "Bearer amFuZTpzw6ljcmV0OjE="]
    for header in (None, *malformed, *credentials):
        headers = {} if header is None else {"Authorization": header}
        for method, path in (("POST", "/instances"), ("GET", "/instances"), ("HEAD", "/"), ("PUT", "/nope")):
            content = make_file() if method == "POST" else None
            answer = guarded.client.request(method, path, headers=headers, content=content)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert answer.content == b""
    assert guarded.files() == []


def test_users_come_in_and_are_remembered(guarded: Door, index_uri: str) -> None:
    for user, password in USERS.items():
        answer = guarded.client.get("/instances", auth=(user, password))
        assert answer.status_code == 200
    assert guarded.client.post("/instances", content=make_file(), auth=("jane", "sécret:1")).status_code == 200
    with connect(index_uri) as connection:
        assert connection.execute("SELECT value FROM Metadata WHERE type = 13").fetchall() == [("jane",)]


def test_probes_need_no_password(guarded: Door) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert guarded.client.get(path).status_code == 200
        # and neither does what only looks like one get through
        assert guarded.client.get(f"{path}/../instances").status_code in (401, 404)
        assert guarded.client.get(f"{path}%2finstances").status_code == 401


def test_loopback_unless_remote_access_is_allowed(open_door: OpenDoor) -> None:
    local = open_door()
    everywhere = open_door(RemoteAccessAllowed=True, RegisteredUsers=USERS)
    # 127.0.0.2 is an address of this machine that is not the one a local server listens on.
    reached = httpx.get(f"http://127.0.0.2:{everywhere.server.port}/system", trust_env=False)
    # Who lets everybody come wants to know who it is, as long as nothing else is said.
    assert reached.status_code == everywhere.client.get("/system").status_code == 401
    assert local.client.get("/system").status_code == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", local.server.port))


def test_processes_share_a_port(open_door: OpenDoor) -> None:
    first = open_door()
    second = open_door(port=first.server.port)
    assert second.server.port == first.server.port
    first.server.stop()
    for _ in range(5):
        assert httpx.get(f"http://127.0.0.1:{second.server.port}/livez", trust_env=False).status_code == 200


def test_a_port_of_somebody_else(open_door: OpenDoor) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"HttpPort: cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            open_door(port=port)


def test_drain_finishes_what_began_and_takes_nothing_new(door: Door) -> None:
    # Given an upload of which a part is there
    file = make_file()
    arrived = threading.Event()
    drained = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield file[:200]
        arrived.set()
        assert drained.wait(20)
        yield file[200:]

    answers: list[httpx.Response] = []
    sender = threading.Thread(target=lambda: answers.append(door.post(slowly())))
    sender.start()
    assert arrived.wait(20)
    # When the server drains
    drain = threading.Thread(target=door.server.drain, args=(20,))
    drain.start()
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", door.server.port)).close()
        except ConnectionRefusedError:
            break
        assert time.monotonic() < deadline
    # Then what began is stored
    drained.set()
    sender.join(20)
    drain.join(20)
    assert [answer.json()["Status"] for answer in answers] == ["Success"]


def test_drain_ends_in_time_though_a_sender_does_not(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.server.port)) as sender:
        sender.sendall(b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        sender.sendall(make_file() + bytes(3_000_000))
        eventually(door.files)
        started = time.monotonic()
        door.server.drain(0.5)
        assert time.monotonic() - started < 4
    assert door.intake.drain(10)
    assert door.files() == []


def test_a_server_that_never_started_can_be_stopped(door: Door) -> None:
    door.server.stop()
    door.server.stop()
