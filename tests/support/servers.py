"""Databases for the tests on a real PostgreSQL server, and the DCMTK programs as real DICOM clients."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

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
    """The DCMTK program of that name; skips the test where it is not installed."""
    program = shutil.which(name)
    if program is None:
        skip_or_fail("dcmtk", f"DCMTK's {name}")
    return Path(program)


def skip_or_fail(package: str, what: str) -> NoReturn:
    """Skip the test because `what`, which the package brings, is not installed.

    TESTS_EXPECT=dcmtk,haproxy,orthanc,pgbouncer in the environment (CI, after it has installed them) makes the skip a
    failure.
    """
    if package in os.environ.get("TESTS_EXPECT", "").split(","):
        pytest.fail(f"{what} is expected here (TESTS_EXPECT) and not installed")
    pytest.skip(f"{what} is not installed")


def _execute(server: LocalPostgreSQL, statement: sql.Composed) -> None:
    with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
        connection.execute(statement)
