"""Databases for the tests on a real PostgreSQL server, and the DCMTK programs as real DICOM clients."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from workers.local.postgresql import LocalPostgreSQL


@contextmanager
def new_database(server: LocalPostgreSQL, template: str = "template1") -> Iterator[str]:
    """A database of its own, copied from `template`, which nobody may be connected to; yields its name."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(server, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield name
    finally:
        # FORCE: a failed test may have left a connection open, which is not worth a second failure.
        _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def dcmtk_program(name: str) -> Path:
    """The DCMTK program of that name; skips the test where it is not installed.

    TESTS_EXPECT=dcmtk in the environment (CI, after it has installed DCMTK) turns the skip into a failure.
    """
    program = shutil.which(name)
    if program is not None:
        return Path(program)
    if "dcmtk" in os.environ.get("TESTS_EXPECT", "").split(","):
        pytest.fail(f"DCMTK's {name} is expected here (TESTS_EXPECT) and not on PATH")
    pytest.skip(f"DCMTK's {name} is not installed")


def _execute(server: LocalPostgreSQL, statement: sql.Composed) -> None:
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        connection.execute(statement)
