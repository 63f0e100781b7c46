"""The fixtures that all other tests stand on."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest


def count(uri: str, table: str) -> int:
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = %s", [table]).fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("turn", [1, 2])
def test_empty_database_is_empty_for_each_test(empty_database: str, turn: int) -> None:
    assert count(empty_database, "leftover") == 0
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE Leftover (value INTEGER)")


@pytest.mark.parametrize("turn", [1, 2])
def test_installed_schema_has_no_resource_for_each_test(database_uri: str, turn: int) -> None:
    with psycopg.connect(database_uri) as connection:
        assert connection.execute("SELECT count(*) FROM Resources").fetchone() == (0,)
        connection.execute("INSERT INTO Resources (resourceType, publicId) VALUES (0, 'leftover')")


def test_storage_directory_is_empty(storage_directory: Path) -> None:
    assert list(storage_directory.iterdir()) == []


def test_missing_dcmtk_skips_or_fails(dcmtk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESTS_EXPECT", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no_such_program is not installed"):
        dcmtk("no_such_program")
    monkeypatch.setenv("TESTS_EXPECT", "dcmtk")
    with pytest.raises(pytest.fail.Exception, match="no_such_program is expected"):
        dcmtk("no_such_program")


def test_dcmtk_is_found_on_path(dcmtk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "storescu").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dcmtk("storescu") == tmp_path / "storescu"
