"""Stable resources from the database: one change for each quiet period (interop/ingest.md 5)."""

from collections.abc import Iterator

import psycopg
import pytest

from cluster.database import Database
from cluster.dicom.levels import Level
from cluster.index.deletion import delete_resource
from cluster.index.stable import log_stable_resources
from cluster.ingest.intake import Intake, open_intake
from cluster.ingest.origin import Origin
from tests.support.dicom import make_file
from tests.support.settings import settings_for

LOG = (
    "SELECT c.changeType, r.resourceType FROM Changes c JOIN Resources r USING (internalId)"
    " WHERE c.changeType BETWEEN 12 AND 14 ORDER BY c.seq"
)
QUIET = "UPDATE cluster.unstable_resources SET last_instance_at = last_instance_at - interval '1 minute'"


@pytest.fixture
def intake(database_uri: str, storage_directory) -> Iterator[Intake]:
    intake = open_intake(settings_for(database_uri, storage_directory))
    yield intake
    intake.close()


@pytest.fixture
def database(intake: Intake) -> Database:
    log_stable_resources(intake.database, 60)  # begins to take notice
    return intake.database


@pytest.fixture
def connection(database_uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_uri, autocommit=True) as connection:
        yield connection


def store(intake: Intake, **keywords: object):
    with intake.receive(Origin("RestApi")) as reception:
        reception.write(make_file(**keywords))
        return reception.commit().ids


def test_once_after_a_quiet_period(intake: Intake, database: Database, connection: psycopg.Connection) -> None:
    store(intake)
    assert log_stable_resources(database, 60) == 0
    connection.execute(QUIET)
    assert log_stable_resources(database, 60) == 3
    assert connection.execute(LOG).fetchall() == [(14, 2), (13, 1), (12, 0)]
    connection.execute(QUIET)
    assert log_stable_resources(database, 60) == 0
    # Another instance begins another period, of its own ancestors only.
    store(intake, SeriesInstanceUID="2.25.1.2")
    assert log_stable_resources(database, 60) == 0
    connection.execute(QUIET)
    assert log_stable_resources(database, 60) == 3
    assert connection.execute(LOG).fetchall() == [(14, 2), (13, 1), (12, 0)] * 2


def test_a_new_instance_breaks_the_quiet(intake: Intake, database: Database, connection: psycopg.Connection) -> None:
    store(intake)
    log_stable_resources(database, 60)
    connection.execute(QUIET)
    store(intake)
    assert log_stable_resources(database, 60) == 0


def test_what_was_deleted_or_there_before_is_not_stable(
    intake: Intake, database: Database, connection: psycopg.Connection
) -> None:
    ids = store(intake)
    log_stable_resources(database, 60)
    delete_resource(database, Level.PATIENT, ids.patient)
    connection.execute(QUIET)
    assert log_stable_resources(database, 60) == 0
    assert connection.execute("SELECT count(*) FROM cluster.unstable_resources").fetchone() == (0,)
    connection.execute("DELETE FROM cluster.properties WHERE name = 'stable_changes_read_upto'")
    store(intake)
    log_stable_resources(database, 60)
    connection.execute(QUIET)
    assert log_stable_resources(database, 60) == 0


def test_one_session_at_a_time(intake: Intake, database: Database, connection: psycopg.Connection) -> None:
    store(intake)
    log_stable_resources(database, 60)
    connection.execute(QUIET)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(4412)")
        assert log_stable_resources(database, 60) == 0
    assert log_stable_resources(database, 60) == 3
