"""Stable resources from the database: one change for each quiet period (interop/ingest.md 5)."""

from pathlib import Path
from typing import Any

import pytest

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.index.deletion import delete_resource
from cluster.index.stable import log_stable_resources
from cluster.ingest.intake import Intake
from cluster.ingest.origin import Origin
from cluster.schema.sqlite import install_sqlite
from tests.support.dicom import make_file
from tests.support.indices import only_on_postgresql, seconds_of

LOG = (
    "SELECT c.changeType, r.resourceType FROM Changes c JOIN Resources r USING (internalId)"
    " WHERE c.changeType BETWEEN 12 AND 14 ORDER BY c.seq"
)


@pytest.fixture
def database(intake: Intake) -> Database:
    log_stable_resources(intake.database, 60)  # begins to take notice
    return intake.database


def a_minute_passes(connection: Any) -> None:
    minute = seconds_of(connection, 60)
    connection.execute(f"UPDATE cluster.unstable_resources SET last_instance_at = last_instance_at - {minute}")


def store(intake: Intake, **keywords: object):
    with intake.receive(Origin("RestApi")) as reception:
        reception.write(make_file(**keywords))
        return reception.commit().ids


def test_once_after_a_quiet_period(intake: Intake, database: Database, connection: Any) -> None:
    store(intake)
    assert log_stable_resources(database, 60) == 0
    a_minute_passes(connection)
    assert log_stable_resources(database, 60) == 3
    assert connection.execute(LOG).fetchall() == [(14, 2), (13, 1), (12, 0)]
    a_minute_passes(connection)
    assert log_stable_resources(database, 60) == 0
    # Another instance begins another period, of its own ancestors only.
    store(intake, SeriesInstanceUID="2.25.1.2")
    assert log_stable_resources(database, 60) == 0
    a_minute_passes(connection)
    assert log_stable_resources(database, 60) == 3
    assert connection.execute(LOG).fetchall() == [(14, 2), (13, 1), (12, 0)] * 2


def test_a_new_instance_breaks_the_quiet(intake: Intake, database: Database, connection: Any) -> None:
    store(intake)
    log_stable_resources(database, 60)
    a_minute_passes(connection)
    store(intake)
    assert log_stable_resources(database, 60) == 0


def test_what_was_deleted_or_there_before_is_not_stable(
    intake: Intake, database: Database, connection: Any, index_uri: str
) -> None:
    ids = store(intake)
    log_stable_resources(database, 60)
    delete_resource(database, Level.PATIENT, ids.patient)
    a_minute_passes(connection)
    assert log_stable_resources(database, 60) == 0
    assert connection.execute("SELECT count(*) FROM cluster.unstable_resources").fetchone() == (0,)
    connection.execute("DELETE FROM cluster.properties WHERE name = 'stable_changes_read_upto'")
    store(intake)
    if index_uri.startswith("sqlite:"):
        install_sqlite(Path(index_uri.removeprefix("sqlite:")))  # which begins at the end of the log
    log_stable_resources(database, 60)
    a_minute_passes(connection)
    assert log_stable_resources(database, 60) == 0


@only_on_postgresql("sessions of several nodes", either_way=True)
def test_one_session_at_a_time(intake: Intake, database: Database, connection: Any) -> None:
    store(intake)
    log_stable_resources(database, 60)
    a_minute_passes(connection)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(4412)")
        assert log_stable_resources(database, 60) == 0
    assert log_stable_resources(database, 60) == 3
