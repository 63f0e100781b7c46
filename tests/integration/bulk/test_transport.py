"""Our variant of kombu's Redis transport on a real broker."""

import kombu
import pytest

from tests.support.settings import settings_for
from workers.local.redis_server import LocalRedis
from workers.tasks.app import make_app
from workers.tasks.transport import Transport


@pytest.fixture
def connection(redis: LocalRedis) -> kombu.Connection:
    return make_app(settings_for(cluster={"RedisUrl": redis.url})).connection_for_write()


def test_it_is_what_a_unix_socket_url_stands_for(connection: kombu.Connection) -> None:
    assert type(connection.transport) is Transport
    with connection:
        assert connection.default_channel.client.ping()


@pytest.mark.parametrize("answer", ["ack", "reject", "requeue"])
def test_a_message_may_be_answered_after_its_connection_is_gone(connection: kombu.Connection, answer: str) -> None:
    with connection, connection.SimpleQueue("test_transport") as queue:
        queue.put("hello")
        message = queue.get(timeout=5)

    getattr(message, answer)()


def test_messages_are_acknowledged_while_it_lasts(connection: kombu.Connection) -> None:
    with connection, connection.SimpleQueue("test_transport_ack") as queue:
        client = connection.default_channel.client
        before = client.hlen("unacked")
        queue.put("hello")
        message = queue.get(timeout=5)
        assert client.hlen("unacked") == before + 1
        message.ack()
        assert client.hlen("unacked") == before

        queue.put("again")
        queue.get(timeout=5).requeue()
        assert queue.get(timeout=5).payload == "again"
