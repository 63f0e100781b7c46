"""An archive with synthetic instances in it, and archives that senders can reach: nodes in this process, a node of its
own, a plain Orthanc."""

import hashlib
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.config import Settings
from cluster.database import Database
from cluster.dicom.header import read_part10
from cluster.dicom.part10 import file_meta_information
from cluster.index.attached_files import AttachedBytes
from cluster.index.store_instances import InstanceRows, store_instances
from cluster.ingest.intake import Intake, open_intake
from cluster.ingest.metadata import metadata_of
from cluster.ingest.origin import Origin
from tests.support.nodes import NodeProcess
from tests.support.orthanc import OrthancProcess, orthanc_files
from tests.support.servers import new_database
from tests.support.settings import settings_for
from workers.cli import main
from workers.load.check import Findings, check
from workers.load.ledger import Delivery, Ledger
from workers.load.options import LoadOptions, parse_targets
from workers.load.plan import instances_of, portions
from workers.load.sender import Target
from workers.load.stored_file import path_of
from workers.load.synthetic import SyntheticInstance
from workers.load.transports import Credentials
from workers.local.ports import free_ports
from workers.local.postgresql import LocalPostgreSQL
from workers.storescp import StoreScp

Run = Callable[..., int]

ORIGIN = Origin("DicomProtocol", "LOAD", "127.0.0.1", "ORTHANC")


@dataclass
class Archive:
    """Index, storage area and a ledger that says that everything in them was acknowledged."""

    database: Database
    sql: psycopg.Connection[Any]
    storage: Path
    ledger: Ledger
    instances: list[SyntheticInstance]

    def check(self) -> Findings:
        return check(self.ledger, self.database, self.storage, count_orphans=True)

    def a_file(self) -> Path:
        row = self.sql.execute("SELECT uuid FROM AttachedFiles ORDER BY id LIMIT 1").fetchone()
        assert row is not None
        return path_of(self.storage, row[0])


def delivery_of(instance: SyntheticInstance) -> Delivery:
    return Delivery(
        sender=0,
        patient_id=instance.patient_id,
        study_instance_uid=instance.study_instance_uid,
        series_instance_uid=instance.series_instance_uid,
        sop_instance_uid=instance.sop_instance_uid,
        data_set_md5=hashlib.md5(instance.data_set).hexdigest(),
        size=len(instance.data_set),
        target="here:1",
        status=0,
        acknowledged_at=1.0,
        latency_seconds=0.1,
    )


def put(instance: SyntheticInstance, storage: Path) -> InstanceRows:
    """Write the file of an instance; returns the rows that would index it."""
    stored = (
        file_meta_information(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)
        + instance.data_set
    )
    parsed = read_part10(BytesIO(stored), len(stored))
    rows = InstanceRows(
        parsed,
        AttachedBytes.plain(str(uuid.uuid4()), len(stored), hashlib.md5(stored).hexdigest()),
        metadata_of(parsed, ORIGIN),
    )
    path = path_of(storage, rows.file.uuid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stored)
    return rows


@pytest.fixture
def archive(database_uri: str, storage_directory: Path, tmp_path: Path) -> Iterator[Archive]:
    """Sixty instances: two studies of one patient, three series."""
    (portion,) = portions(1, 60, shared_studies=False)
    instances = list(instances_of(portion, size="small", seed=5))
    database = Database(settings_for(database_uri).postgresql)
    database.open()
    store_instances(database, "Never", [put(instance, storage_directory) for instance in instances])
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        psycopg.connect(database_uri, autocommit=True) as connection,
    ):
        ledger.add(list(map(delivery_of, instances)))
        # What deletions of rows by hand need, as those by a node do.
        connection.execute("SELECT CreateDeletedFilesTemporaryTable()")
        yield Archive(database, connection, storage_directory, ledger, instances)
    database.close()


@dataclass
class Node:
    """A DICOM door with everything behind it."""

    target: Target
    settings: Settings
    scp: StoreScp


@pytest.fixture
def start_node(database_uri: str, storage_directory: Path) -> Iterator[Callable[..., Node]]:
    """Start a node in this process; `wrap` may put something between its door and its intake."""
    with ExitStack() as stack:

        def start(wrap: Callable[[Intake], Any] = lambda intake: intake, **options: Any) -> Node:
            (port,) = free_ports(1)
            settings = settings_for(database_uri, storage_directory, **({"DicomPort": port} | options))
            intake = open_intake(settings)
            stack.callback(intake.close)
            scp = StoreScp(settings, wrap(intake), lambda: True)
            scp.start()
            stack.callback(scp.stop)
            return Node(Target("127.0.0.1", scp.port), settings, scp)

        yield start


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `orthanc-cluster load` in this process; returns the exit status."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["orthanc-cluster", "load", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        assert isinstance(exited.value.code, int)
        return exited.value.code

    return run


@pytest.fixture(scope="package")
def node(
    postgresql: LocalPostgreSQL, schema_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node as a process, which overwrites and wants a password; shared by all tests of `load`."""
    folder = tmp_path_factory.mktemp("node")
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"loader": "secret"}, "OverwriteInstances": True}
    (folder / "password").write_text("secret\n")
    with (
        new_database(postgresql, schema_template) as name,
        NodeProcess(
            "node",
            folder,
            postgresql.uri(name),
            folder / "storage",
            **users,
        ) as node,
    ):
        yield node


@pytest.fixture(scope="package")
def as_loader(node: NodeProcess) -> tuple[object, ...]:
    """What is typed to be let in by `node` and to compare over its REST API."""
    password = node.log.with_name("password")
    return ("--archive", node.url, "--http-user", "loader", "--http-password-file", password)


def of(node: NodeProcess, target: str | None = None, **options: Any) -> LoadOptions:
    """Options of a small run into `node`, over HTTP if no target is given."""
    (archive,) = parse_targets(node.url)
    values = {"instances": 30, "size": "tiny", "senders": 2, "credentials": Credentials("loader", "secret")} | options
    return LoadOptions(targets=parse_targets(target or node.url), archive=archive, **values)


@dataclass
class PlainOrthanc:
    """A running Orthanc with its index in SQLite, which keeps the first of two contents."""

    url: str
    dicom: str


@pytest.fixture(scope="package")
def plain_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainOrthanc]:
    """Answers C-FIND and C-GET to everybody; skips where there is no Orthanc. Shared by all tests of `load`."""
    folder = tmp_path_factory.mktemp("orthanc")
    orthanc = OrthancProcess("plain", folder, orthanc_files(), None, folder / "storage")
    document = json.loads(orthanc.configuration.read_text())
    document |= {"DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True, "DicomThreadsCount": 16}
    document["Plugins"] = [str(path) for path in Path("/usr/share/orthanc/plugins").glob("libOrthancDicomWeb.so")]
    orthanc.configuration.write_text(json.dumps(document))
    with orthanc:
        yield PlainOrthanc(orthanc.url, f"127.0.0.1:{document['DicomPort']}")
