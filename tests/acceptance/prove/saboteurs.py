"""Defects that are planted beside the clients of a run, each with what the judge has to say about it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support.invariants import rows_and_files
from workers.prove.stage import Stage

DELETE_WITHOUT_CHECK = """
CREATE OR REPLACE FUNCTION cluster.delete_resource(
    wanted_level integer, wanted_id text, OUT is_found boolean, OUT remaining_level integer, OUT remaining_id text)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM CreateDeletedFilesTemporaryTable();
    DELETE FROM Resources WHERE publicId = wanted_id;
    is_found := FOUND;
END $$
"""
"""A delete that never looks whether it has taken the last child."""


class Saboteurs:
    """Context manager beside a run; afterwards the attributes say what was done."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.lost_file = ""
        self.doubled_series = ""

    def __enter__(self) -> "Saboteurs":
        self._connection = psycopg.connect(self._stage.postgresql.uri(), autocommit=True)
        self._connection.execute(DELETE_WITHOUT_CHECK)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.closing(self._connection):
            self._lose_file()
            self._double_series()

    def _lose_file(self) -> None:
        rows, _ = rows_and_files(self._connection, self._storage)
        self.lost_file = min(rows)
        self._path(self.lost_file).unlink()

    def _double_series(self) -> None:
        """The same row again, for which the constraint has to go first."""
        self._connection.execute("ALTER TABLE Resources DROP CONSTRAINT uniquepublicid")
        (self.doubled_series,) = self._connection.execute(
            "INSERT INTO Resources (resourceType, publicId, parentId, childCount)"
            " SELECT resourceType, publicId, parentId, childCount FROM Resources WHERE resourceType = 2"
            " ORDER BY internalId LIMIT 1 RETURNING publicId"
        ).fetchone()

    @property
    def _storage(self) -> Path:
        return self._stage.settings.storage_directory

    def _path(self, uuid: str) -> Path:
        return self._storage / uuid[:2] / uuid[2:4] / uuid


@contextlib.contextmanager
def late_change(stage: Stage, planted: list[int]) -> Iterator[None]:
    """A writer that draws the number of its change long before it commits, as one without a lock does."""
    with psycopg.connect(stage.postgresql.uri(), autocommit=True) as connection:
        (number,) = connection.execute("SELECT nextval(pg_get_serial_sequence('Changes', 'seq'))").fetchone()
        planted.append(number)
        yield
        (newest,) = connection.execute("SELECT max(seq) FROM Changes").fetchone()
        assert newest > number
        connection.execute(
            "INSERT INTO Changes (seq, changeType, internalId, resourceType, date)"
            " SELECT %s, 13, internalId, resourceType, '20260101T000000' FROM Resources LIMIT 1",
            [number],
        )
