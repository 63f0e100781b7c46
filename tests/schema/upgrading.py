"""How the tests upgrade beside writers."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from cluster.schema.abandon import abandon
from cluster.schema.online import UpgradeOptions, prepare_and_switch
from cluster.schema.revision import observe
from cluster.schema.upgrade import upgrade_online
from tests.schema.archive import store

PUBLIC = "SET search_path TO public"


def online(connection, target=10, schema_name="public", **options):
    return upgrade_online(connection, schema_name, "test", target, UpgradeOptions(**options))


def switched(connection, source, target=10, **options):
    """Everything but what comes after the switch."""
    return prepare_and_switch(connection, "public", "test", source, target, UpgradeOptions(**options))


def prepared(connection, source):
    """Everything that comes before the switch."""

    class Enough(Exception):
        pass

    def stop(step):
        if step.startswith("switch"):
            raise Enough

    with pytest.raises(Enough):
        switched(connection, source, on_step=stop)


def abandoned(connection, **options):
    """Take back what comes before the switch; returns what that was."""
    revision, taken = abandon(connection, "public", "test", UpgradeOptions(**options))
    assert revision == observe(connection, "public").revision
    return taken


def other_session(connection):
    return psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True)


@contextmanager
def writers(connection, number=3):
    """Store instances as a plugin of the revision of the moment does, each writer for a patient of its own; yields the
    list of (writer, seconds) of what was acknowledged."""
    acknowledged, failures, over = [], [], threading.Event()

    def write(writer):
        with other_session(connection) as session:
            session.execute(PUBLIC)
            instance = 0
            while not over.is_set():
                began = time.monotonic()
                try:
                    with session.transaction():
                        store(session, f"w{writer}", f"w{writer}.0", f"w{writer}.0.0", f"w{writer}.0.0.{instance}")
                except psycopg.Error as error:
                    # What a plugin does about any error: once more from the beginning. It calls what the switch
                    # has just replaced.
                    failures.append(error)
                    continue
                acknowledged.append((writer, time.monotonic() - began))
                instance += 1

    threads = [threading.Thread(target=write, args=(writer,), daemon=True) for writer in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        assert len(failures) < 50, failures[-1]


def upgraded(index, revision):
    connection = index(revision, filled=True)
    online(connection)
    return connection


def leave_invalid(connection, statement):
    """What a build leaves behind that was ended while it waited for an older transaction."""
    with other_session(connection) as older, other_session(connection) as builder:
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM public.Resources")
        builder.execute("SET search_path TO public")
        builder.execute("SET statement_timeout TO '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(statement)
        older.execute("ROLLBACK")
    name = statement.split()[statement.split().index("CONCURRENTLY") + 1].lower()
    assert connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", (f"public.{name}",)
    ).fetchone() == (False,)
