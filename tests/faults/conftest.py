"""Archives of older revisions, and what an upgrade that nobody disturbed makes of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

from cluster.schema import by_rank
from cluster.schema.online import UpgradeOptions
from cluster.schema.phases import Kind, online_steps
from cluster.schema.upgrade import upgrade_online
from tests.schema.conftest import Connect, _templates, index  # noqa: F401 - fixtures
from tests.support.proxy import Proxy
from tests.support.servers import new_database
from tests.support.upgrades import BATCH, SIZES, WINDOW, Ending, ending, unsettle, uri_of
from workers.local.postgresql import LocalPostgreSQL


@pytest.fixture
def archive(index: Connect) -> Callable[[int], psycopg.Connection]:  # noqa: F811 - the fixture
    """`archive(revision)` is a connection to a new database of that revision, in which every step has work to do."""

    def of(revision: int) -> psycopg.Connection:
        connection = index(revision, filled=True)
        unsettle(connection, revision)
        return connection

    return of


@pytest.fixture(scope="session")
def undisturbed(
    postgresql: LocalPostgreSQL,
    _templates: Callable[[int, bool], str],  # noqa: F811 - the fixture
) -> Iterator[Callable[[int], Ending]]:
    """`undisturbed(revision)` is how the upgrade of `archive(revision)` ends."""
    known: dict[int, Ending] = {}

    def of(revision: int) -> Ending:
        if revision not in known:
            with (
                new_database(postgresql, _templates(revision, True)) as name,
                psycopg.connect(postgresql.uri(name), autocommit=True) as connection,
            ):
                unsettle(connection, revision)
                upgrade_online(connection, "public", "undisturbed", 10, UpgradeOptions())
                known[revision] = ending(connection)
                # A step that has nothing to do could be left out, or done twice, and nobody would see it.
                in_batches = [step.name for step in online_steps(revision, 10) if step.kind is Kind.BATCHES]
                assert all(known[revision].rows[name] for name in in_batches)
        return known[revision]

    return of


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several batches in every step, where the upgrader is this process."""
    for module, name in SIZES:
        monkeypatch.setattr(module, name, BATCH)
    monkeypatch.setattr(by_rank, "_KEYS", WINDOW)


@pytest.fixture
def through_proxy() -> Iterator[Callable[[psycopg.Connection], Proxy]]:
    """`through_proxy(connection)` is a proxy to its server; `proxy.uri` leads through it to the same database."""
    with ExitStack() as stack:

        def proxy_of(connection: psycopg.Connection) -> Proxy:
            proxy = stack.enter_context(Proxy(connection.info.host, connection.info.port))
            proxy.uri = uri_of(connection).replace(f":{connection.info.port}/", f":{proxy.port}/")
            return proxy

        yield proxy_of
