"""Each option of section PostgreSQL does what cluster/config/README.md says; the last test knows them all."""

import contextlib
import logging
import threading
import time

import psycopg
import pytest
from prometheus_client import REGISTRY

from cluster.config import PostgreSQLSettings
from cluster.coordinator.gate import Gate
from cluster.database import pool
from cluster.dicom.levels import Level
from cluster.errors import AccessRefused
from cluster.index.requested_tags import requested_tags
from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.concurrency import test_lock, test_same_series
from tests.integration.database import test_transaction
from tests.integration.postgresql import test_tls
from tests.integration.sqlite import test_node
from tests.integration.storage import test_areas
from tests.support.dicom import make_file
from tests.support.proxy import Proxy
from tests.support.settings import settings_for
from workers.local.children import wait_until
from workers.node import _housekeeping

ORIGIN = Origin("DicomProtocol", "SENDER", "127.0.0.1", "ORTHANC")
NUMBER_OF_STUDY_RELATED_SERIES = (0x0020, 0x1206)


@pytest.fixture
def proxy(database_uri):
    parts = psycopg.conninfo.conninfo_to_dict(database_uri)
    with Proxy(parts["host"], int(parts["port"])) as proxy:
        proxy.uri = database_uri.replace(f":{parts['port']}/", f":{proxy.port}/")
        yield proxy


def fields_of(uri):
    parts = psycopg.conninfo.conninfo_to_dict(uri)
    names = {"Host": "host", "Database": "dbname", "Username": "user", "Password": "password"}
    return {option: parts[name] for option, name in names.items()} | {"Port": int(parts["port"])}


def store(settings, **keywords):
    with contextlib.closing(open_intake(settings)) as intake, intake.receive(ORIGIN) as reception:
        reception.write(make_file(**keywords))
        assert reception.commit().status == "Success"


def test_server_by_fields(database_uri, open_database):
    fields = fields_of(database_uri)
    where = "SELECT current_database(), current_user, inet_server_port()"
    found = open_database(**fields).run("where", lambda c: c.execute(where).fetchone())
    assert found == (fields["Database"], "orthanc", fields["Port"])
    with pytest.raises(AccessRefused, match="password authentication failed"):
        open_database(budget=0.5, **fields | {"Password": "hunter2"}).run("where", lambda c: c.execute(where))


# -- connections -----------------------------------------------------------------------------------------------------


@pytest.fixture
def named(database_uri):
    """Connection URI whose connections `named.count()` counts."""

    class Named(str):
        def count(self):
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"
            with psycopg.connect(database_uri) as connection:
                return connection.execute(query).fetchone()[0]

    return Named(f"{database_uri}?application_name=counted")


def test_index_connections_count(named, open_database):
    database = open_database(str(named), IndexConnectionsCount=3)
    assert wait_until(lambda: named.count() == 3, 10)
    all_busy, done = threading.Barrier(4), threading.Event()

    def hold(cursor):
        cursor.execute("SELECT 1")
        all_busy.wait(10)
        done.wait(10)

    threads = [threading.Thread(target=database.run, args=("hold", hold)) for _ in range(3)]
    for thread in threads:
        thread.start()
    all_busy.wait(10)
    try:
        # The fourth finds none, and the pool does not grow for it.
        with pytest.raises(psycopg.OperationalError):
            database._pool.take(0.2)
        assert named.count() == 3
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_use_dynamic_connection_pool(named, open_database, monkeypatch):
    monkeypatch.setattr(pool, "_MAX_IDLE_SECONDS", 0.3)
    database = open_database(str(named), IndexConnectionsCount=3, UseDynamicConnectionPool=True)
    assert named.count() == 0
    met = threading.Barrier(2)
    both = [threading.Thread(target=database.run, args=("meet", lambda c: met.wait(10))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    # As many as were needed at a time, and none that nobody needs
    assert wait_until(lambda: named.count() == 0, 10)
    assert database.run("again", lambda c: c.execute("SELECT 1").fetchone()) == (1,)


def test_connection_retries_and_their_interval(proxy, database_uri):
    # Given a server that does not let us in
    uri = proxy.uri.replace("orthanc:", "orthanc:wrong")
    options = {"MaximumConnectionRetries": 2, "ConnectionRetryInterval": 1}
    with contextlib.closing(Gate(settings_for(uri, postgresql=options), role="ingest")) as gate:
        started = time.monotonic()
        with pytest.raises(AccessRefused):
            gate.wait_until_ready()
    # Then it is asked three times, a second apart
    assert proxy.connections == 3
    assert 2.0 <= time.monotonic() - started < 6


def test_a_server_that_cannot_be_reached_is_waited_for(proxy):
    proxy.refuse()
    options = {"MaximumConnectionRetries": 0, "ConnectionRetryInterval": 0}
    with contextlib.closing(Gate(settings_for(proxy.uri, postgresql=options), role="ingest")) as gate:
        waiting = threading.Thread(target=gate.wait_until_ready)
        waiting.start()
        assert wait_until(lambda: "no connection to server" in (gate.reason or ""), 10)
        proxy.refuse(False)
        assert wait_until(lambda: gate.is_ready, 10)
        waiting.join()


def test_application_name(database_uri, open_database):
    database = open_database(**fields_of(database_uri), ApplicationName="archive 1")
    assert database.run("name", lambda c: c.execute("SHOW application_name").fetchone()) == ("archive 1",)


# -- what is done with them ------------------------------------------------------------------------------------------


def test_schema(empty_database, storage_directory):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA archive")
        settings = settings_for(empty_database, storage_directory, postgresql={"Schema": "Archive"})
        with contextlib.closing(Gate(settings, role="ingest")) as gate:
            assert gate.wait_until_ready()
        store(settings)
        assert connection.execute("SELECT count(*) FROM archive.Resources").fetchone() == (4,)
        in_public = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(in_public).fetchone() == (0,)


@pytest.mark.parametrize("mode", ["ReadCommitted", "Serializable"])
def test_enable_verbose_logs(database_uri, storage_directory, caplog, mode):
    caplog.set_level(logging.INFO)
    options = {"EnableVerboseLogs": True, "TransactionMode": mode}
    settings = settings_for(database_uri, storage_directory, postgresql=options)
    store(settings, PatientID="P-4711", PatientName="Secret^Patient")
    with contextlib.closing(Gate(settings)) as gate:
        assert gate.wait_until_ready()
    lines = [line.getMessage() for line in caplog.records if line.getMessage().startswith("SQL, ")]
    [stored] = [line for line in lines if "cluster.store_instances" in line]
    assert stored.split(": ")[0].endswith(" ms" if mode == "ReadCommitted" else "queued")
    assert any("orthanc" not in line and " ms: SELECT" in line for line in lines)
    assert "4711" not in caplog.text
    assert "Secret" not in caplog.text


def test_without_verbose_logs_no_statement_is_logged(database_uri, storage_directory, caplog):
    caplog.set_level(logging.DEBUG)
    store(settings_for(database_uri, storage_directory))
    assert "store_instances" not in caplog.text


def passes():
    labels = {"task": "fold_statistics"}
    return REGISTRY.get_sample_value("orthanc_cluster_housekeeping_seconds_count", labels) or 0


def test_housekeeping_interval(database_uri, storage_directory):
    def run(seconds):
        settings = settings_for(database_uri, storage_directory, postgresql={"HousekeepingInterval": seconds})
        return contextlib.closing(open_intake(settings)), settings

    before = passes()
    opened, settings = run(1)
    started = time.monotonic()
    with opened as intake, _housekeeping(settings, intake, 0):
        assert wait_until(lambda: passes() >= before + 3, 20)
    assert time.monotonic() - started >= 2
    before = passes()
    opened, settings = run(3600)
    with opened as intake, _housekeeping(settings, intake, 0):
        assert wait_until(lambda: passes() == before + 1, 20)
        assert not wait_until(lambda: passes() > before + 1, 1.5)


@pytest.mark.parametrize("allowed", [True, False])
def test_allow_inconsistent_child_counts(database_uri, storage_directory, allowed):
    options = {"AllowInconsistentChildCounts": allowed}
    settings = settings_for(database_uri, storage_directory, postgresql=options)
    for number in range(3):
        store(settings, SOPInstanceUID=f"2.25.9.{number}", SeriesInstanceUID=f"2.25.8.{number // 2}")
    with psycopg.connect(database_uri) as connection:
        [(study, stored)] = connection.execute(
            "SELECT publicId, childCount FROM Resources WHERE resourceType = 1"
        ).fetchall()
    # What the table holds is behind until the next housekeeping; what is answered is counted.
    assert stored == 0
    with contextlib.closing(open_intake(settings)) as intake:
        found = requested_tags(intake.database, Level.STUDY, [study], [NUMBER_OF_STUDY_RELATED_SERIES])
    assert found[study].texts == {NUMBER_OF_STUDY_RELATED_SERIES: "2"}


# -- all of them -----------------------------------------------------------------------------------------------------

TESTS = {  # the functions, not their names: one that is gone is missed when this module is read
    "EnableIndex": (test_schema, test_node.test_one_process_at_a_time),
    "EnableStorage": (
        test_areas.test_what_was_acknowledged_is_there,
        test_areas.test_large_ones_pass_in_bounded_memory,
    ),
    "Lock": test_lock.test_second_node_is_refused_until_the_first_has_gone,
    "Host": test_server_by_fields,
    "Port": test_server_by_fields,
    "Database": test_server_by_fields,
    "Username": test_server_by_fields,
    "Password": test_server_by_fields,
    "ConnectionUri": test_tls.test_sslmode_with_check,
    "EnableSsl": test_tls.test_enable_ssl,
    "IndexConnectionsCount": test_index_connections_count,
    "UseDynamicConnectionPool": test_use_dynamic_connection_pool,
    "MaximumConnectionRetries": (
        test_connection_retries_and_their_interval,
        test_transaction.test_attempts_are_bounded_too,
    ),
    "ConnectionRetryInterval": test_connection_retries_and_their_interval,
    "TransactionMode": test_same_series.test_same_instances_from_many_processes,
    "Schema": test_schema,
    "ApplicationName": test_application_name,
    "EnableVerboseLogs": test_enable_verbose_logs,
    "HousekeepingInterval": test_housekeeping_interval,
    "AllowInconsistentChildCounts": test_allow_inconsistent_child_counts,
}


def test_no_option_of_the_section_is_without_a_test():
    assert set(TESTS) == set(PostgreSQLSettings.by_key())
