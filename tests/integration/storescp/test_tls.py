"""DICOM over TLS: DCMTK, our own SCU, and peers that do not get in."""

import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ConfigurationError
from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.peer import CT, EXPLICIT, Peer, association_request
from tests.integration.storescp.test_clients import associate, sample
from tests.support.certificates import Authority, Certificate
from workers.echo_command import echo
from workers.storescp import StoreScp
from workers.upper_layer import pdu
from workers.upper_layer.failures import AssociationEnded, ConnectionLost


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    return authority.issue("server")


@pytest.fixture(scope="module")
def modality(authority: Authority) -> Certificate:
    return authority.issue("modality", "modality.example")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Signed by somebody whom the node does not trust."""
    return Authority.create(tmp_path_factory.mktemp("other")).issue("stranger")


@pytest.fixture
def options(authority: Authority, server: Certificate) -> dict[str, Any]:
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(server.certificate),
        "DicomTlsPrivateKey": str(server.key),
        "DicomTlsTrustedCertificates": str(authority.pem),
    }


@pytest.fixture
def tls_scp(start_scp: StartScp, options: dict[str, Any]) -> StoreScp:
    return start_scp(**options)


def dcmtk_run(program: Path, scp: StoreScp, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [program, *arguments[:-1], "127.0.0.1", scp.port, arguments[-1]]
    return subprocess.run(
        [str(part) for part in command if part != ""], capture_output=True, text=True, timeout=60, check=False
    )


def as_modality(certificate: Certificate, authority: Authority) -> Sequence[object]:
    return ("+tls", certificate.key, certificate.certificate, "+cf", authority.pem)


def test_dcmtk_stores_and_echoes(
    tls_scp: StoreScp,
    collector: Collector,
    dcmtk: Callable[[str], Path],
    authority: Authority,
    modality: Certificate,
) -> None:
    identity = as_modality(modality, authority)

    stored = dcmtk_run(dcmtk("storescu"), tls_scp, "-R", *identity, sample("CT_small.dcm"))
    echoed = dcmtk_run(dcmtk("echoscu"), tls_scp, "-v", *identity, "")

    assert stored.returncode == 0, stored.stderr
    assert echoed.returncode == 0, echoed.stderr
    assert "Success" in echoed.stderr
    assert len(collector.instances) == 1
    assert collector.instances[0].origin.remote_ip == "127.0.0.1"


@pytest.mark.parametrize("size", [2, 20_000, 131_066, 5_000_000])
def test_our_own_scu(
    tls_scp: StoreScp, collector: Collector, authority: Authority, modality: Certificate, size: int
) -> None:
    data_set = bytes(i * 7 % 256 for i in range(256)) * (size // 256 + 1)

    with associate(tls_scp, tls=authority.client(modality)) as association:
        assert association.store(CT, "1.2.3", EXPLICIT, data_set[:size]) == 0
        assert association.echo() == 0

    assert bytes(collector.instances[0].content[-size:]) == data_set[:size]


def test_without_a_certificate_nobody_enters(tls_scp: StoreScp, collector: Collector, authority: Authority) -> None:
    with pytest.raises(AssociationEnded):
        associate(tls_scp, tls=authority.client())
    assert tls_scp.associations == 0


def test_a_certificate_of_somebody_else_is_refused(
    tls_scp: StoreScp,
    dcmtk: Callable[[str], Path],
    authority: Authority,
    stranger: Certificate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    finished = dcmtk_run(dcmtk("echoscu"), tls_scp, *as_modality(stranger, authority), "")

    assert finished.returncode != 0
    _eventually(lambda: any("certificate refused" in message for message in caplog.messages))


def test_a_plain_sender_gets_no_association(tls_scp: StoreScp, caplog: pytest.LogCaptureFixture) -> None:
    with Peer(tls_scp.port) as peer:
        peer.send(association_request())
        with contextlib.suppress(ConnectionResetError):
            assert peer.reply()[:1] != bytes((pdu.A_ASSOCIATE_AC,))
    _eventually(lambda: any("TLS handshake failed" in message for message in caplog.messages))


def test_certificates_of_senders_can_be_done_without(
    start_scp: StartScp, options: dict[str, Any], authority: Authority, stranger: Certificate
) -> None:
    scp = start_scp(**options | {"DicomTlsRemoteCertificateRequired": False, "DicomTlsTrustedCertificates": "absent"})
    for context in (authority.client(), authority.client(stranger)):
        with associate(scp, tls=context) as association:
            assert association.echo() == 0


def assert_enters(scp: StoreScp, context: ssl.SSLContext, enters: bool) -> None:
    """Whether a sender of that context is let in."""
    if enters:
        with associate(scp, tls=context) as association:
            assert association.echo() == 0
    else:
        with pytest.raises(ConnectionLost, match="TLS handshake failed"):
            associate(scp, tls=context)


@pytest.mark.parametrize(("minimum", "enters"), [(0, True), (4, True), (5, False)])
def test_minimum_protocol_version(
    start_scp: StartScp,
    options: dict[str, Any],
    authority: Authority,
    modality: Certificate,
    minimum: int,
    enters: bool,
) -> None:
    scp = start_scp(**options | {"DicomTlsMinimumProtocolVersion": minimum})
    context = authority.client(modality)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    assert_enters(scp, context, enters)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(("minimum", "enters"), [(0, False), (3, True), (4, False)])
def test_tls_1_1_needs_to_be_allowed(
    start_scp: StartScp,
    options: dict[str, Any],
    authority: Authority,
    modality: Certificate,
    minimum: int,
    enters: bool,
) -> None:
    """With OpenSSL 3 it also needs its security level 0 on both sides, hence the cipher string."""
    ciphers = {"DicomTlsCiphersAccepted": ["ALL:@SECLEVEL=0"]} if minimum else {}
    scp = start_scp(**options | {"DicomTlsMinimumProtocolVersion": minimum} | ciphers)
    context = authority.client(modality)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    assert_enters(scp, context, enters)


def test_only_the_ciphers_of_the_list(
    start_scp: StartScp, options: dict[str, Any], authority: Authority, modality: Certificate
) -> None:
    accepted, other = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
    scp = start_scp(**options | {"DicomTlsMinimumProtocolVersion": 4, "DicomTlsCiphersAccepted": [accepted]})
    context = authority.client(modality)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    context.set_ciphers(accepted)
    associate(scp, tls=context).release()
    context.set_ciphers(other)
    with pytest.raises(ConnectionLost, match="TLS handshake failed"):
        associate(scp, tls=context)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DicomTlsCertificate": None}, "DicomTlsCertificate: must name a PEM file"),
        ({"DicomTlsPrivateKey": None}, "DicomTlsPrivateKey: must name a PEM file"),
        ({"DicomTlsTrustedCertificates": None}, "DicomTlsTrustedCertificates: must name a PEM file"),
        ({"DicomTlsCertificate": "absent.pem"}, "DicomTlsCertificate: .*No such file"),
        ({"DicomTlsPrivateKey": __file__}, "DicomTlsCertificate: certificate and private key cannot be used"),
        ({"DicomTlsTrustedCertificates": __file__}, "DicomTlsTrustedCertificates: cannot be used"),
        ({"DicomTlsCiphersAccepted": ["ECDHE-ECDSA-AES256-GCM-SHA384"]}, "needs a DicomTlsMinimumProtocolVersion"),
        (
            {"DicomTlsCiphersAccepted": ["NONE-SUCH"], "DicomTlsMinimumProtocolVersion": 4},
            "DicomTlsCiphersAccepted: OpenSSL knows none",
        ),
        (
            {"DicomTlsCiphersAccepted": ["TLS_AES_256_GCM_SHA384"], "DicomTlsMinimumProtocolVersion": 5},
            "name all or none",
        ),
    ],
)
def test_what_cannot_work_stops_the_start(
    start_scp: StartScp, options: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        start_scp(**options | change)


def test_an_encrypted_key_stops_the_start_and_asks_nobody(
    start_scp: StartScp, options: dict[str, Any], server: Certificate, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(server.key.read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "encrypted.key").write_bytes(encrypted)
    with pytest.raises(ConfigurationError, match="DicomTlsCertificate: certificate and private key cannot be used"):
        start_scp(**options | {"DicomTlsPrivateKey": str(tmp_path / "encrypted.key")})


def test_who_never_finishes_the_handshake_blocks_nobody(
    start_scp: StartScp,
    options: dict[str, Any],
    collector: Collector,
    authority: Authority,
    modality: Certificate,
) -> None:
    """Twenty who say nothing, half a greeting, or one byte after the other; meanwhile a sender goes on."""
    scp = start_scp(**options | {"DicomScpTimeout": 1})
    hello = _client_hello(authority)
    peers = [socket.create_connection(("127.0.0.1", scp.port), timeout=10) for _ in range(20)]
    for number, peer in enumerate(peers):
        peer.sendall(hello[: len(hello) // 2] if number % 2 else b"")
    started = time.monotonic()
    trickling = threading.Thread(target=_trickle, args=(peers[0], hello))
    trickling.start()

    stored = 0
    context = authority.client(modality)
    while time.monotonic() - started < 1 or stored < 20:
        with associate(scp, tls=context) as association:
            assert association.store(CT, f"1.2.{stored}", EXPLICIT, b"ab" * 5000) == 0
        stored += 1

    for peer in peers:
        assert _closed(peer)
        peer.close()
    trickling.join(10)
    # 1 s for the handshake, the tick on which the thread looks, and what a busy machine takes.
    assert time.monotonic() - started < 5
    assert len(collector.instances) == stored


def test_a_silent_peer_after_the_handshake_times_out(
    start_scp: StartScp, options: dict[str, Any], authority: Authority, modality: Certificate
) -> None:
    scp = start_scp(**options | {"DicomScpTimeout": 1})
    with (
        socket.create_connection(("127.0.0.1", scp.port), timeout=10) as plain,
        authority.client(modality).wrap_socket(plain, server_hostname="127.0.0.1") as peer,
    ):
        assert peer.recv(10) == b""


def test_a_node_that_drains_releases_tls_associations_too(
    tls_scp: StoreScp, authority: Authority, modality: Certificate
) -> None:
    association = associate(tls_scp, tls=authority.client(modality))
    draining = threading.Thread(target=tls_scp.drain, args=(5,))
    draining.start()
    draining.join(10)
    with pytest.raises(AssociationEnded):
        association.echo()
    assert tls_scp.associations == 0


def _client_hello(authority: Authority) -> bytes:
    outgoing = ssl.MemoryBIO()
    client = authority.client().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def _trickle(peer: socket.socket, content: bytes) -> None:
    try:
        for byte in content:
            peer.sendall(bytes((byte,)))
            time.sleep(0.05)
    except OSError:
        pass


def _closed(peer: socket.socket) -> bool:
    """Whether the other side has ended the connection; an alert may come before."""
    try:
        while peer.recv(100):
            pass
    except ConnectionResetError:
        pass
    return True


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_file_name_of_a_key_is_secret_but_its_content_is(
    start_scp: StartScp, options: dict[str, Any], server: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    start_scp(**options)
    with pytest.raises(ConfigurationError) as raised:
        start_scp(**options | {"DicomTlsCertificate": str(server.key)})
    secret = re.sub(r"-----[^-]+-----|\s", "", server.key.read_text())[:40]
    assert secret not in caplog.text.replace("\n", "")
    assert secret not in str(raised.value)


def test_renewed_certificates_are_those_of_later_associations(
    start_scp: StartScp,
    options: dict[str, Any],
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.renewed_tls.LOOK_SECONDS", 0.0)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.pem.read_bytes())
    scp = start_scp(**options | {"DicomTlsTrustedCertificates": str(trusted)})
    late = Authority.create(tmp_path / "late")
    contexts = [authority.client(signer.issue("modality", "modality.example")) for signer in (authority, late)]

    assert_enters(scp, contexts[0], True)
    with pytest.raises(AssociationEnded):
        associate(scp, tls=contexts[1]).echo()
    open_before = associate(scp, tls=contexts[0])
    trusted.write_bytes(late.pem.read_bytes())
    assert_enters(scp, contexts[1], True)
    with pytest.raises(AssociationEnded):
        associate(scp, tls=contexts[0]).echo()
    assert open_before.echo() == 0
    open_before.release()


def test_the_commands_of_ours_as_senders(
    tls_scp: StoreScp, authority: Authority, modality: Certificate, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ["--tls-trusted", str(authority.pem), "--tls-certificate", str(modality.certificate)]
    door = f"127.0.0.1:{tls_scp.port}"

    def status(*arguments: str) -> int | str | None:
        with pytest.raises(SystemExit) as ended:
            echo.main([door, "--timeout", "5", *arguments], standalone_mode=False)
        return ended.value.code

    assert status(*shown, "--tls-key", str(modality.key)) == 0
    assert "status 0x0000" in capsys.readouterr().out
    assert status("--tls-trusted", str(authority.pem)) == 1
    assert status() == 1
    with pytest.raises(ConfigurationError, match="--tls-trusted"):
        echo.main([door, *shown], standalone_mode=False)  # a certificate without its key
    with pytest.raises(ConfigurationError, match="--tls-trusted: is missing"):
        echo.main([door, "--tls-key", str(modality.key)], standalone_mode=False)
