import socket

import pytest

from workers.local import ports


def test_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    chosen = ports.free_ports(50)

    assert len(set(chosen)) == 50
    assert all(1024 < port < 32768 for port in chosen)


def test_port_is_not_free_while_somebody_listens() -> None:
    port = ports.free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_listener_on_all_addresses_counts_as_well() -> None:
    port = ports.free_port()
    with socket.create_server(("0.0.0.0", port)):
        assert not ports.is_free(port)


def test_taken_ports_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a range of two ports, the first of which is taken
    taken = next(port for port in range(20000, 30000) if ports.is_free(port) and ports.is_free(port + 1))
    monkeypatch.setattr(ports, "LOWEST", taken)
    monkeypatch.setattr(ports, "HIGHEST", taken + 1)
    with socket.create_server(("127.0.0.1", taken)):
        # When asked for one, however the dice fall, then it is the other
        assert {ports.free_port() for _ in range(10)} == {taken + 1}


def test_no_free_port_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.free_port()
    monkeypatch.setattr(ports, "LOWEST", port)
    monkeypatch.setattr(ports, "HIGHEST", port)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="0 of 1"):
        ports.free_port()
