"""All of this also through PgBouncer in transaction mode."""

import pytest


@pytest.fixture(autouse=True)
def _either_way(either_way: None) -> None:
    """For each test of this folder."""
