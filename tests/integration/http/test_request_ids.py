"""An id for each request, taken or given: in its answer, in its error and in its lines of the log."""

import io
import logging
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.http.conftest import Door, OpenDoor, eventually
from tests.support.dicom import make_file
from workers.http import tools
from workers.logs import ConsoleFormatter

GIVEN = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the log says, as a person sees it."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(ConsoleFormatter())
    logger = logging.getLogger()
    logger.addHandler(handler)
    packages = [logging.getLogger(name) for name in ("cluster", "workers")]
    levels = [package.level for package in packages]
    for package in packages:
        package.setLevel(logging.INFO)
    yield text
    logger.removeHandler(handler)
    for package, level in zip(packages, levels, strict=True):
        package.setLevel(level)


def test_each_request_has_an_id_of_its_own(door: Door) -> None:
    paths = ("/system", "/nope", "/livez", "/instances/x", "/patients?since=1", "/changes")
    ids = [door.client.get(path).headers["x-request-id"] for path in paths]
    assert all(GIVEN.fullmatch(given) for given in ids)
    assert len(set(ids)) == len(paths)
    assert door.client.head("/system").headers["x-request-id"]


def test_that_of_a_proxy_is_taken(door: Door) -> None:
    for given in ("abc", "req-1.2_3", "Root=1-67891233-abcdef012345678912345678", "x" * 128):
        answer = door.client.get("/nope", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"] == given
        assert answer.json()["RequestId"] == given


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b'"]}', b"\xc3\xbc", b"a\tb", b"<script>"])
def test_what_is_not_sane_is_not_taken(door: Door, given: bytes) -> None:
    answer = door.client.get("/nope", headers=[(b"X-Request-Id", given)])
    assert GIVEN.fullmatch(answer.headers["x-request-id"])
    assert answer.json()["RequestId"] == answer.headers["x-request-id"]


def test_refused_ones_have_one_too(open_door: OpenDoor) -> None:
    door = open_door(AuthenticationEnabled=True, RegisteredUsers={"jane": "secret"})
    answer = door.client.get("/system", headers={"X-Request-Id": "abc"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (401, "abc")


def test_lines_of_the_log_say_which_request(door: Door, log: io.StringIO) -> None:
    door.client.post("/instances", content=b"no DICOM", headers={"X-Request-Id": "upload-1"})
    door.client.delete("/studies/x", headers={"X-Request-Id": "delete-1"})
    lines = log.getvalue().splitlines()
    # One is written by the event loop, both are about what a thread did.
    assert any("POST /instances" in line and line.endswith("[request=upload-1]") for line in lines)
    assert any("DELETE /studies/x" in line and line.endswith("[request=delete-1]") for line in lines)


def test_a_defect_of_ours_can_be_found(door: Door, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(tools, "read_statistics", broken)
    answer = door.client.get("/tools/metrics-prometheus", headers={"X-Request-Id": "abc"})
    assert (answer.status_code, answer.json()["RequestId"]) == (500, "abc")
    eventually(lambda: "GET /tools/metrics-prometheus failed [request=abc]" in log.getvalue())
    assert "ZeroDivisionError: planted" in log.getvalue()
    assert door.client.get("/system").status_code == 200


def test_an_answer_that_breaks_off_closes_the_connection(
    door: Door, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        door.post(make_file())
    monkeypatch.setattr("cluster.index.resources.IDS_PER_PAGE", 1)
    pages = iter([1])

    def broken(*arguments: object, **options: object) -> object:
        next(pages)  # the second page fails
        return orthanc_json(*arguments, **options)  # type: ignore[arg-type]

    from workers.http import answers

    orthanc_json = answers.orthanc_json
    monkeypatch.setattr(answers, "orthanc_json", broken)
    with pytest.raises(httpx.RemoteProtocolError):
        door.client.get("/instances", headers={"X-Request-Id": "abc"})
    eventually(lambda: "GET /instances failed [request=abc]" in log.getvalue())
