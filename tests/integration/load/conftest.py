"""An archive with synthetic instances in it, and nodes in this process that senders can reach."""

import hashlib
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
from tests.support.settings import settings_for
from workers.load.check import Findings, check, path_of
from workers.load.ledger import Delivery, Ledger
from workers.load.plan import instances_of, portions
from workers.load.sender import Target
from workers.load.synthetic import SyntheticInstance
from workers.local.ports import free_ports
from workers.storescp import StoreScp

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
