"""All of this in PostgreSQL, through PgBouncer in transaction mode too, and in SQLite."""

from tests.integration.index.conftest import _each, connection, index, intake  # noqa: F401 - fixtures
