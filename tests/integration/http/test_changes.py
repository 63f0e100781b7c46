"""GET /changes, against interop/rest.md 7."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cluster.index.stable import log_stable_resources
from tests.integration.http.conftest import Door
from tests.support.dicom import make_file
from tests.support.indices import LONG_AGO, connect


def changes(door: Door, query: str = "") -> dict[str, Any]:
    answer = door.client.get(f"/changes{query}")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def seqs(page: dict[str, Any]) -> list[int]:
    return [change["Seq"] for change in page["Changes"]]


def test_empty(door: Door) -> None:
    for query in ("", "?last", "?since=10&limit=3"):
        assert changes(door, query) == {"Changes": [], "Done": True, "Last": 0}


def test_one_change(door: Door) -> None:
    stored = door.post(make_file()).json()
    page = changes(door)
    first = page["Changes"][0]
    assert len(first.pop("Date")) == len("20260131T120000")
    assert first == {
        "ChangeType": "NewInstance",
        "ID": stored["ID"],
        "Path": f"/instances/{stored['ID']}",
        "ResourceType": "Instance",
        "Seq": page["First"],
    }
    levels = [change["Path"].split("/")[1] for change in page["Changes"]]
    assert levels == ["instances", "series", "studies", "patients"]
    assert (page["Done"], page["Last"]) == (True, page["Changes"][-1]["Seq"])


def test_follower(door: Door) -> None:
    for _ in range(3):
        door.post(make_file())
    everything = seqs(changes(door))
    assert len(everything) == 6
    seen: list[int] = []
    last = 0
    for _ in range(3):
        page = changes(door, f"?since={last}&limit=2")
        seen += seqs(page)
        last = page["Last"]
    assert page["Done"]
    assert seen == everything
    assert changes(door, f"?since={last}") == {"Changes": [], "Done": True, "Last": last}


def test_last(door: Door) -> None:
    door.post(make_file())
    everything = changes(door)
    page = changes(door, "?last")
    assert seqs(page) == seqs(everything)[-1:]
    assert (page["Done"], page["Last"], page["First"]) == (True, everything["Last"], everything["Last"])


def test_to_and_type(door: Door) -> None:
    door.post(make_file())
    everything = seqs(changes(door))
    assert seqs(changes(door, f"?to={everything[2]}&limit=2")) == everything[1:3]
    assert seqs(changes(door, f"?since={everything[0]}&to={everything[2]}")) == everything[1:3]
    assert seqs(changes(door, "?type=NewStudy;NewPatient")) == everything[2:]
    assert door.client.get("/changes?type=Nothing").status_code == 400


def test_what_is_no_number_means_the_defaults(door: Door) -> None:
    door.post(make_file())
    for query in ("?since=x", "?limit=x", "?since=999&limit=x", "?since=x&limit=1", "?limit=-1", "?to=x"):
        assert changes(door, query) == changes(door)


def test_default_limit_is_100(door: Door) -> None:
    with ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda _: door.post(make_file()).raise_for_status(), range(100)))
    page = changes(door)
    assert (len(page["Changes"]), page["Done"]) == (100, False)
    # 0 is no way to skip what was not seen
    assert changes(door, "?limit=0") == page
    assert changes(door, f"?since={page['Last']}&limit=100")["Done"]


def test_a_limit_beyond_reason_is_cut(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.http.changes.MAXIMUM_LIMIT", 3)
    door.post(make_file())
    page = changes(door, "?limit=1000000")
    assert (len(page["Changes"]), page["Done"]) == (3, False)
    assert page["Last"] == page["Changes"][-1]["Seq"]


def test_deleted_changes_do_not_turn_the_log_back(
    door: Door, index: str, index_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.index.changes.CHANGES_AT_A_TIME", 2)
    stored = door.post(make_file()).json()
    last = changes(door)["Last"]
    answer = door.client.delete("/changes")
    assert (answer.status_code, answer.content) == (200, b"")
    for query in ("", "?last", "?since=0", f"?since={last}", "?since=2&wait=1"):
        assert changes(door, query) == {"Changes": [], "Done": True, "Last": last}
    assert door.client.delete("/changes").status_code == 200
    # What was stored before becomes stable nevertheless.
    assert not door.client.get(f"/series/{stored['ParentSeries']}").json()["IsStable"]
    with connect(index_uri) as connection:
        connection.execute("UPDATE cluster.unstable_resources SET last_instance_at = %s", (LONG_AGO[index],))
    assert log_stable_resources(door.intake.database, 60) == 3
    page = changes(door, f"?since={last}")
    assert [change["ChangeType"] for change in page["Changes"]] == ["StableSeries", "StableStudy", "StablePatient"]
    assert page["First"] == last + 1


def test_changes_are_deleted_beside_writers_and_followers(door: Door) -> None:
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        last = 0
        while not done.is_set() or last < changes(door, "?last")["Last"]:
            page = changes(door, f"?since={last}&wait=1")
            seen.extend(seqs(page))
            assert page["Last"] >= last
            last = page["Last"]

    with ThreadPoolExecutor(10) as others:
        follower = others.submit(follow)
        deleting = others.submit(lambda: [door.client.delete("/changes").raise_for_status() for _ in range(10)])
        list(others.map(lambda _: door.post(make_file()).raise_for_status(), range(60)))
        deleting.result()
        done.set()
        follower.result(20)
    assert seen == sorted(set(seen))
    assert changes(door, "?last")["Last"] == 63
