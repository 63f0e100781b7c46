"""One history, told to both indexes: the same answers all the way, and the same archive in the end."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.config import Settings
from cluster.dicom.header import read_part10
from cluster.dicom.public_ids import PublicIds
from cluster.ingest.intake import open_intake
from cluster.ingest.removal import remove_files
from tests.support.dicom import make_file
from tests.support.indices import connect
from tests.support.invariants import assert_exact, rows_and_files
from tests.support.settings import settings_for
from workers.http import HttpServer
from workers.lone_worker import LoneWorker

EXAMPLES = 12
LEVELS = ("patients", "studies", "series", "instances")
CONTENTS = "MainDicomTags;Metadata;Children;Parent;Labels;Attachments;IsStable;Status;IsProtected"
QUEUE = ("IsProtected", "PatientRecyclingOrder")
"""Metadata in PostgreSQL, a table of its own in SQLite."""

_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_STATE = re.compile(r" \(SQLSTATE \w{5}\)")
_TIME = re.compile(r"\b[0-9]{8}T[0-9]{6}\b")


@cache
def file_of(patient: int, study: int, series: int, instance: int, variant: int) -> bytes:
    """Two to a series, which says so; a variant has another description and another size."""
    uid = f"2.25.{patient + 1}.{study}"
    return make_file(
        PatientID=f"P{patient}",
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.{series}",
        SOPInstanceUID=f"{uid}.{series}.{instance}",
        InstanceNumber=instance + 1,
        ImagesInAcquisition=2,
        NumberOfTemporalPositions=1,
        StudyDescription=f"variant {variant}",
        SeriesDescription=f"variant {variant}",
        PixelData=bytes(128 * (1 + variant)),
    )


FILES = [(p, s, r, i) for p in range(3) for s in range(2) for r in range(2) for i in range(2)]


@cache
def ids_of(place: tuple[int, int, int, int]) -> PublicIds:
    file = file_of(*place, 0)
    return read_part10(BytesIO(file), len(file)).public_ids


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    content: bytes | None = None
    if_match: str | None = None


@dataclass
class Archive:
    """A node's HTTP door on one of the two indexes; `before` is the last change of earlier histories."""

    settings: Settings
    index_uri: str
    client: httpx.Client
    tidy_up: Any
    before: int = 0

    def ask(self, request: Request) -> tuple[int, str | None, Any]:
        headers = {} if request.if_match is None else {"If-Match": request.if_match}
        answer = self.client.request(request.method, request.path, content=request.content, headers=headers)
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        return answer.status_code, answer.headers.get("etag"), self._comparable(body)

    def get(self, path: str) -> Any:
        return self.ask(Request("GET", path))[2]

    def everything(self) -> Any:
        """All that is there, in Orthanc's words, and the bytes."""
        resources = {level: self.get(f"/{level}?expand&response-content={CONTENTS}") for level in LEVELS}
        ids = {level: [resource["ID"] for resource in resources[level]] for level in LEVELS}
        return {
            "resources": resources,
            "changes": self.get("/changes?limit=10000"),
            "last": self.get("/changes?last"),
            "statistics": self.get("/statistics"),
            "of each": {one: self.get(f"/{level}/{one}/statistics") for level in LEVELS[:3] for one in ids[level]},
            "protected": {one: self.get(f"/patients/{one}/protected") for one in ids["patients"]},
            "metadata": {one: self._metadata(f"/{level}/{one}") for level in LEVELS for one in ids[level]},
            "labels": self.get("/tools/labels"),
            "files": [md5(self.client.get(f"/instances/{one}/file").content).hexdigest() for one in ids["instances"]],
        }

    def _metadata(self, path: str) -> Any:
        return {name: text for name, text in self.get(f"{path}/metadata?expand").items() if name not in QUEUE}

    def begin_anew(self) -> None:
        for patient in self.client.get("/patients").json():
            self.client.delete(f"/patients/{patient}").raise_for_status()
        self.client.delete("/changes").raise_for_status()
        self.before = self.client.get("/changes?last").json()["Last"]

    def assert_whole(self) -> None:
        self.tidy_up()
        with connect(self.index_uri) as connection:
            rows, files = rows_and_files(connection, self.settings.storage_directory)
            assert rows == files
            assert_exact(connection, announced=False)

    def _comparable(self, body: Any) -> Any:
        match body:
            case dict():
                kept = {key: value for key, value in body.items() if key not in ("RequestId", *QUEUE[1:])}
                return {key: self._number(key, self._comparable(value)) for key, value in kept.items()}
            case list():
                return [self._comparable(each) for each in body]
            case str():
                return _STATE.sub("", _TIME.sub("a time", _UUID.sub("a uuid", body)))
        return body

    def _number(self, key: str, value: Any) -> Any:
        return value - self.before if key in ("Seq", "Last") else value


@contextmanager
def archive(index_uri: str, folder: Path, options: dict[str, Any]) -> Iterator[Archive]:
    folder.mkdir()
    settings = settings_for(index_uri, folder, SyncStorageArea=False, **options)
    settings = settings.model_copy(update={"http": settings.http.model_copy(update={"port": 0})})
    intake = open_intake(settings)
    waker = LoneWorker(settings, intake)  # which does nothing unless it is entered
    server = HttpServer(settings, intake, intake.database, intake.storage, lambda: None, bytes, waker=waker)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30, trust_env=False) as client:
            yield Archive(settings, index_uri, client, lambda: remove_files(intake.database, intake.storage))
    finally:
        server.stop()
        intake.close()


@pytest.fixture
def both(
    request: pytest.FixtureRequest,
    database_uri: str,
    sqlite_template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[list[Archive]]:
    monkeypatch.setattr("cluster.database.sqlite_connection.SYNCHRONOUS", "OFF")
    shutil.copytree(sqlite_template, tmp_path / "index")
    with ExitStack() as stack:
        yield [
            stack.enter_context(archive(database_uri, tmp_path / "one", request.param)),
            stack.enter_context(archive(f"sqlite:{tmp_path / 'index'}", tmp_path / "two", request.param)),
        ]


places = st.sampled_from(FILES)
texts = st.sampled_from(["", "a", "ü", "{}"])
etags = st.none() | st.builds(
    lambda number, text: f'"{number}-{md5(text.encode()).hexdigest()}"', st.integers(0, 1), texts
)
stores = st.builds(
    lambda place, variant: Request("POST", "/instances", file_of(*place, variant)), places, st.integers(0, 2)
)


@st.composite
def resources(draw: st.DrawFn) -> tuple[str, str]:
    """Level and public id, of what may be there."""
    ids = ids_of(draw(places))
    level = draw(st.sampled_from(LEVELS))
    return level, dict(zip(LEVELS, (ids.patient, ids.study, ids.series, ids.instance), strict=True))[level]


@st.composite
def writes(draw: st.DrawFn) -> Request:
    """What users write on a resource, and take away."""
    level, public_id = draw(resources())
    kind = draw(st.sampled_from(["metadata", "attachments", "labels", "protected"]))
    if kind == "protected":
        patient = ids_of(draw(places)).patient
        return Request("PUT", f"/patients/{patient}/protected", draw(st.sampled_from([b"1", b"1", b"0"])))
    names = {
        "metadata": ["1024", "1025", "Origin", "9"],
        "attachments": ["1024", "1025", "dicom"],
        "labels": ["a", "b", "not a label"],
    }
    path = f"/{level}/{public_id}/{kind}/{draw(st.sampled_from(names[kind]))}"
    if draw(st.booleans()):
        return Request("PUT", path, draw(texts).encode(), draw(etags))
    return Request("DELETE", path, None, draw(etags))


@st.composite
def searches(draw: st.DrawFn) -> Request:
    level = draw(st.sampled_from(["Patient", "Study", "Series", "Instance"]))
    asked = draw(
        st.sampled_from([{}, {"PatientID": "p1"}, {"StudyDescription": "*1"}, {"StudyInstanceUID": "2.25.1*"}])
    )
    body = {"Level": level, "Query": asked, "Labels": draw(st.sampled_from([[], ["a"]])), "Expand": draw(st.booleans())}
    return Request("POST", "/tools/find", json.dumps(body).encode())


deletions = st.builds(lambda resource: Request("DELETE", "/{}/{}".format(*resource)), resources())
bulk_deletions = st.lists(resources(), min_size=1, max_size=4).map(
    lambda found: Request("POST", "/tools/bulk-delete", json.dumps({"Resources": [one for _, one in found]}).encode())
)
rare = st.just(Request("DELETE", "/changes")) | searches() | bulk_deletions
histories = st.lists(stores | stores | stores | stores | writes() | writes() | deletions | rare, max_size=30)


@pytest.mark.parametrize(
    "both",
    [
        {"CheckRevisions": True},
        {"OverwriteInstances": True, "StableAge": 1},
        {"OverwriteInstances": "IfChanged", "MaximumPatientCount": 2},
        {"MaximumPatientCount": 1, "MaximumStorageMode": "Reject"},
    ],
    indirect=True,
    ids=["revisions", "overwriting", "recycling", "full"],
)
def test_the_same_history_makes_the_same_archive(both: list[Archive]) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(history=histories)
    def check(history: list[Request]) -> None:
        for one in both:
            one.begin_anew()
        for step in history:
            postgresql, sqlite = (one.ask(step) for one in both)
            assert sqlite == postgresql, step
        postgresql, sqlite = (one.everything() for one in both)
        for part in postgresql:
            assert sqlite[part] == postgresql[part], part
        for one in both:
            one.assert_whole()

    check()
