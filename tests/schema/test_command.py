"""`orthanc-cluster schema` as an operator uses it, and the SQL that it prints under psql."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import psycopg
import pytest

from cluster.schema.online import UpgradeOptions, prepare_and_switch
from cluster.schema.phases import online_steps
from tests.schema.archive import checksums, housekeep
from tests.support.catalogue import catalogue
from workers.cli import main
from workers.local import postgresql_binaries
from workers.schema_command import schema


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """`command(connection, "status", …)` runs the command line in this process."""

    def run(connection, *arguments, schema_name="public"):
        file = tmp_path / "orthanc.json"
        if connection is not None:
            info = connection.info
            uri = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
            section = {"EnableIndex": True, "ConnectionUri": uri, "Schema": schema_name}
            file.write_text(json.dumps({"StorageDirectory": str(tmp_path / "storage"), "PostgreSQL": section}), "utf-8")
            arguments = (*arguments, "--config", str(file))
        monkeypatch.setattr(sys, "argv", ["orthanc-cluster", "schema", *arguments])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return run


@pytest.fixture
def psql(tmp_path):
    """Run a script as the printed SQL says."""
    program = postgresql_binaries.find().program("psql")

    def run(connection, script):
        file = tmp_path / "script.sql"
        file.write_text(script, "utf-8")
        info = connection.info
        environment = {**os.environ, "PGPASSWORD": info.password, "PGUSER": info.user, "PGHOST": info.host}
        environment |= {"PGPORT": str(info.port), "PGDATABASE": info.dbname}
        return subprocess.run(
            [program, "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-f", file],
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


def test_psql_and_the_command_do_the_same(index, command, psql):
    by_hand, by_command = index(1, filled=True), index(1, filled=True)
    for source, target, change in ((1, 10, ("upgrade", "--offline")), (10, 1, ("downgrade",))):
        script = command(None, "sql", "--from", str(source), "--to", str(target)).stdout
        done = psql(by_hand, script)
        assert (done.returncode, done.stderr) == (0, "")
        ended = command(by_command, *change, "--to", str(target), "--json")
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["revision"] == target
        for connection in (by_hand, by_command):
            connection.execute("SET search_path TO public")
            housekeep(connection, target)
        assert catalogue(by_hand) - catalogue(by_command) == {}
        assert checksums(by_hand) == checksums(by_command)


def test_printed_sql_is_for_one_revision_and_one_schema_only(index, command, psql):
    connection = index(2, filled=True)
    script = command(None, "sql", "--from", "1").stdout
    refused = psql(connection, script)
    assert refused.returncode == 3
    assert "this is for an Orthanc index at revision 1" in refused.stderr
    connection.execute('CREATE SCHEMA "other-1"')
    script = command(connection, "sql", "--from", "2", schema_name="other-1").stdout
    assert 'SET LOCAL search_path TO "other-1"' in script
    refused = psql(connection, script)
    assert "there is no Orthanc index in this PostgreSQL schema" in refused.stderr
    connection.execute("SET search_path TO public")
    assert catalogue(connection) - catalogue(index(2)) == {}


@pytest.mark.parametrize("name", sorted(schema.commands))
def test_every_command_takes_a_configuration_and_speaks_json(name):
    options = {option for parameter in schema.commands[name].params for option in parameter.opts}
    assert {"--config", "--json"} <= options


def test_durations_come_from_the_sizes_in_the_catalogue_and_nothing_is_touched(index, command):
    connection = index(1)
    # Given a catalogue that says how large the tables of a large archive are, and a database that takes no writes
    sizes = {"resources": 150_000_000, "dicomidentifiers": 160_000_000, "patientrecyclingorder": 350_000}
    for table, rows in sizes.items():
        connection.execute("UPDATE pg_class SET reltuples = %s WHERE oid = %s::regclass", (rows, f"public.{table}"))
    connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only TO on")
    for arguments in (["plan"], ["plan", "--offline"], ["status"]):
        ended = command(connection, *arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout)
        # Then a step takes as long as what it reads is large, and all together minutes to hours
        assert 600 < told["estimated_seconds"] < 10_000
        assert told["estimated_seconds"] == pytest.approx(
            sum(step["estimated_seconds"] for step in told["steps"]), 0.01
        )
        assert all(
            step["rows"] == sum(sizes[table] for table in step["reads"] if table in sizes) for step in told["steps"]
        )
        assert all(step["lock"] for step in told["steps"])
    assert " min" in command(connection, "plan").stdout


def test_status_and_plan(index, command):
    connection = index(3, filled=True)
    status = json.loads(command(connection, "status", "--json").stdout)
    assert (status["finding"], status["revision"], status["target"]) == ("OLDER", 3, 10)
    assert (status["phase"], status["progress"], status["node"]) == (None, None, None)
    assert [step["step"] for step in status["steps"]] == [step.name for step in online_steps(3, 10)]
    assert all(step["lock"] for step in status["steps"])
    plan = json.loads(command(connection, "plan", "--to", "5", "--json").stdout)
    assert [step["step"] for step in plan["steps"]] == [step.name for step in online_steps(3, 5)]
    plan = json.loads(command(connection, "plan", "--to", "5", "--offline", "--json").stdout)
    assert [step["step"] for step in plan["steps"]] == ["3 → 4", "4 → 5"]
    plan = json.loads(command(connection, "plan", "--to", "2", "--json").stdout)
    assert [step["step"] for step in plan["steps"]] == ["3 → 2"]
    text = command(connection, "status")
    assert (text.returncode, "revision 3" in text.stdout, "ACCESS EXCLUSIVE" in text.stdout) == (0, True, True)
    assert command(index(10, fresh=True), "status").returncode == 0


def test_status_of_an_upgrade_that_was_interrupted(index, command):
    connection = index(5, filled=True)
    prepare_and_switch(connection, "public", "node-7", 5, 10, UpgradeOptions())
    status = json.loads(command(connection, "status", "--json").stdout)
    assert (status["finding"], status["revision"], status["target"]) == ("EXACT", 10, 10)
    assert (status["phase"], status["node"]) == ("after", "node-7")
    assert 0 < status["progress"] < 1
    assert {step["step"]: step["progress"] for step in status["steps"] if step["progress"] < 1} == {
        "after: recycling order": 0,
        "after: child counts": 0,
    }
    text = command(connection, "status").stdout
    assert "upgrade 5→10, step 7 of 8, " in text
    # The command finishes it.
    assert json.loads(command(connection, "upgrade", "--json").stdout)["steps"] == [
        "after: recycling order",
        "after: child counts",
    ]
    assert json.loads(command(connection, "status", "--json").stdout)["phase"] is None


@pytest.mark.parametrize("way", [["--offline"], []], ids=["offline", "online"])
def test_refusals(index, command, way):
    newer = index(10, fresh=True)
    newer.execute("UPDATE GlobalProperties SET value = '12' WHERE property = 4")
    ended = command(newer, "upgrade", *way)
    assert (ended.returncode, "revision 12" in ended.stderr, "revision 10" in ended.stderr) == (3, True, True)
    older = index(4)
    assert command(older, "upgrade", *way, "--to", "7").returncode == 2
    backwards = command(older, "upgrade", *way, "--to", "2")
    assert (backwards.returncode, "schema downgrade --to 2" in backwards.stderr) == (2, True)
    assert command(older, "downgrade", "--to", "5").returncode == 2
    empty = command(index(None), "upgrade", *way)
    assert (empty.returncode, "is empty" in empty.stderr) == (3, True)
    assert older.execute("SELECT value FROM GlobalProperties WHERE property = 4").fetchone() == ("4",)


def test_a_writer_in_the_way_and_a_role_without_privileges_are_told(index, command, monkeypatch):
    from cluster.errors import DatabaseRefused, LockNotAvailable
    from cluster.schema import migration
    from cluster.schema.upgrade import upgrade_offline

    connection = index(6, filled=True)
    monkeypatch.setattr(migration, "_LOCK_TIMEOUT", "100ms")
    with psycopg.connect(connection.info.dsn, password=connection.info.password) as writer:
        writer.execute("INSERT INTO Changes VALUES (DEFAULT, 0, 1, 0, 'd')")
        with pytest.raises(LockNotAvailable, match="stop all nodes"):
            upgrade_offline(connection, "public", "test")
        writer.rollback()
    connection.execute("CREATE ROLE schema_reader")
    try:
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO schema_reader")
        connection.execute("SET ROLE schema_reader")
        with pytest.raises(DatabaseRefused, match="must own"):
            upgrade_offline(connection, "public", "test")
    finally:
        connection.execute("RESET ROLE; DROP OWNED BY schema_reader; DROP ROLE schema_reader")
    assert catalogue(connection) - catalogue(index(6)) == {}
