"""However many AE titles senders make up, there are few label values."""

from cluster import telemetry


def test_labels_of_peers_are_bounded(monkeypatch):
    monkeypatch.setattr(telemetry, "_peers", set())
    labels = {telemetry.peer_label(f"AE{number}") for number in range(10_000)}
    assert len(labels) == telemetry._PEERS + 1
    assert telemetry.peer_label("AE0") == "AE0"
    assert telemetry.peer_label("AE9999") == "other"
