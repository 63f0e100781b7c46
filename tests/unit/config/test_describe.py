"""The lines of the start-up log."""

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.config import describe, load_settings
from tests.unit.config.loading import from_json


def test_files_index_and_storage_area_are_named(tmp_path: Path) -> None:
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps({"PostgreSQL": {"EnableIndex": True, "Host": "db", "Database": "a", "Schema": "S"}}))

    assert describe(load_settings([tmp_path], {})) == [
        f"Configuration file: {file}",
        "PostgreSQL index: server db:5432, database a, schema s",
        f"Storage area: folder {tmp_path}/OrthancStorage",
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "SQLite index: folder OrthancStorage, for one node (PostgreSQL.EnableIndex is not true)"),
        ({"Host": ""}, "PostgreSQL index: server (default), database (default), schema public"),
        ({"ConnectionUri": "postgresql://u:hunter2@h:1/d"}, "PostgreSQL index: server h:1, database d, schema public"),
    ],
)
def test_the_index_in_other_cases(options: dict[str, Any], line: str) -> None:
    settings = from_json({"PostgreSQL": {"EnableIndex": True, **options}} if options else {})

    assert describe(settings)[:2] == ["No configuration file: defaults and environment only", line]
