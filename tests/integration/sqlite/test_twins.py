"""Every query of the index has a twin that SQLite understands, with the same parameters, or is known to have none."""

import re
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from cluster.database.queries import Query, queries
from cluster.database.sqlite_connection import connect
from cluster.database.sqlite_text import sqlite_text, twins
from cluster.errors import NotServedHere
from cluster.index.opening import PROCEDURES
from cluster.schema.sqlite import install_sqlite

FILES = sorted(
    (package, file.name)
    for package in ("cluster.index", "cluster.jobs")
    for file in files(package).joinpath("sql").iterdir()
    if file.name.endswith(".sql")
)
NOT_SERVED = {"check.sql", "stored_files.sql"}
"""For `load`, `prove` and `check`, which look at an index that other processes have open."""

COMPOSED = {"find.sql", "requested_tags.sql"}
"""Pieces are no statements; the tests of searches put them together."""


@pytest.mark.parametrize(("package", "file"), [each for each in FILES if each[1] not in NOT_SERVED])
def test_each_query_has_a_twin(package: str, file: str) -> None:
    procedures = {key.partition("/")[2] for key in PROCEDURES if key.startswith(f"{file}/")}
    originals = queries(package, file)
    assert originals.keys() - twins(package, file).keys() == procedures


@pytest.mark.parametrize(("package", "file"), [each for each in FILES if each[1] not in NOT_SERVED | COMPOSED])
def test_sqlite_understands_it(package: str, file: str, tmp_path: Path) -> None:
    install_sqlite(tmp_path)
    originals = queries(package, file)
    with closing(connect(tmp_path)) as connection:
        for name, twin in twins(package, file).items():
            original = originals.get(name)
            text = twin if twin is not None else sqlite_text(original)
            parameters = set(re.findall(r":([a-z]\w*)", text))
            connection.execute(f"EXPLAIN {text}", dict.fromkeys(parameters))
            if original is not None:
                assert parameters <= set(re.findall(r"%\((\w+)\)s", original)), (file, name)


def test_what_has_none_says_so() -> None:
    with pytest.raises(NotServedHere, match=r"check\.sql: statistics .* needs PostgreSQL"):
        sqlite_text(queries("cluster.index", "check.sql")["statistics"])
    with pytest.raises(NotServedHere):
        sqlite_text(Query("SELECT 1", "cluster.index", "unheard_of.sql", "x"))
