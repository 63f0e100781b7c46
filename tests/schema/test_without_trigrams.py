"""A server without the extension pg_trgm: everything but one index, and a word about it."""

from contextlib import closing

import psycopg
import pytest

from cluster.coordinator.gate import Gate
from tests.schema.archive import contents, fill
from tests.schema.command_line import UPGRADES, run_schema, uri_of
from tests.schema.conftest import REVISION_01
from tests.schema.test_same_catalogue import KEYS_ADDED_LAST
from tests.support.catalogue import catalogue
from tests.support.odd_servers import binaries_without_trigrams
from tests.support.servers import new_database
from tests.support.settings import settings_for
from workers.local.postgresql import LocalPostgreSQL


@pytest.fixture(scope="module")
def without_trigrams(postgresql, tmp_path_factory):
    with (
        binaries_without_trigrams(postgresql) as binaries,
        LocalPostgreSQL(tmp_path_factory.mktemp("without"), fast=True, binaries=binaries) as server,
    ):
        yield server


@pytest.fixture
def archive_without_trigrams(without_trigrams):
    """A connection to an index at revision 1, with data, on a server that does not know pg_trgm."""
    with (
        new_database(without_trigrams) as name,
        psycopg.connect(without_trigrams.uri(name), autocommit=True) as connection,
    ):
        connection.execute("\n".join(line for line in REVISION_01.splitlines() if "trgm" not in line))
        fill(connection, 1)
        yield connection


ONLY_WITH_TRIGRAMS = {
    "index": [
        "- CREATE INDEX dicomidentifiersindexvalues2 ON dicomidentifiers USING gin (value gin_trgm_ops) valid true"
    ]
}


@pytest.mark.parametrize("change", UPGRADES)
def test_without_pg_trgm_an_upgrade_leaves_its_index_out(archive_without_trigrams, index, change):
    kept = contents(archive_without_trigrams, 1)
    ended = run_schema(uri_of(archive_without_trigrams), *change)
    assert ended.status == 0, ended.stderr
    assert contents(archive_without_trigrams, 10) == kept
    difference = catalogue(archive_without_trigrams) - catalogue(index(10, fresh=True))
    assert difference == KEYS_ADDED_LAST | ONLY_WITH_TRIGRAMS


def test_without_pg_trgm_a_node_installs_the_rest(without_trigrams, index):
    with new_database(without_trigrams) as name:
        with closing(Gate(settings_for(without_trigrams.uri(name)), role="ingest")) as gate:
            assert gate.wait_until_ready()
        with psycopg.connect(without_trigrams.uri(name)) as connection:
            assert catalogue(connection) - catalogue(index(10, fresh=True)) == ONLY_WITH_TRIGRAMS


@pytest.mark.parametrize("change", UPGRADES)
def test_an_operator_is_told_that_pg_trgm_is_missing(archive_without_trigrams, change, caplog):
    assert run_schema(uri_of(archive_without_trigrams), *change).status == 0
    # Python prints a warning on standard error where nobody has set up logging, as the command does not.
    assert "the extension pg_trgm: wildcard searches will be slow" in caplog.text


def test_a_node_logs_that_pg_trgm_is_missing(without_trigrams, caplog):
    with new_database(without_trigrams) as name:
        with closing(Gate(settings_for(without_trigrams.uri(name)), role="ingest")) as gate:
            gate.wait_until_ready()
        assert any("pg_trgm" in record.getMessage() for record in caplog.records if record.levelname == "WARNING")
