"""The HTTP door over TLS, with and without certificates of clients."""

import socket
import ssl
from pathlib import Path

import httpx
import pytest

from cluster.errors import ConfigurationError
from tests.integration.http.conftest import OpenDoor
from tests.support.certificates import Authority, Certificate
from tests.support.dicom import make_file


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    return authority.issue("server")


@pytest.fixture
def options(server: Certificate) -> dict[str, object]:
    return {"SslEnabled": True, "SslCertificate": str(server.both)}


def client(port: int, context: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context, timeout=30, trust_env=False)


def test_upload_and_download(open_door: OpenDoor, options: dict[str, object], authority: Authority) -> None:
    door = open_door(**options)
    file = make_file(PixelData=bytes(3_000_000))
    with client(door.server.port, authority.client()) as https:
        answer = https.post("/instances", content=file)
        assert answer.json()["Status"] == "Success"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert https.get(f"{answer.json()['Path']}/file").content == file
        assert https.get("/system").json()["IsHttpServerSecure"] is True


def test_plain_http_gets_nothing(open_door: OpenDoor, options: dict[str, object]) -> None:
    door = open_door(**options)
    with pytest.raises(httpx.TransportError):
        door.client.get("/livez")


def test_clients_need_a_certificate_where_peers_are_verified(
    open_door: OpenDoor, options: dict[str, object], authority: Authority, tmp_path: Path
) -> None:
    trusted = {"SslVerifyPeers": True, "SslTrustedClientCertificates": str(authority.pem)}
    door = open_door(**options, **trusted)
    stranger = Authority.create(tmp_path / "other").issue("stranger")

    with client(door.server.port, authority.client(authority.issue("client", "client.example"))) as https:
        assert https.get("/livez").status_code == 200
    for certificate in (None, stranger):
        with client(door.server.port, authority.client(certificate)) as https, pytest.raises(httpx.TransportError):
            https.get("/livez")


@pytest.mark.parametrize(("minimum", "enters"), [(4, True), (5, False)])
def test_minimum_protocol_version(
    open_door: OpenDoor, options: dict[str, object], authority: Authority, minimum: int, enters: bool
) -> None:
    door = open_door(**options, SslMinimumProtocolVersion=minimum)
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with client(door.server.port, context) as https:
        if enters:
            assert https.get("/livez").status_code == 200
        else:
            with pytest.raises(httpx.TransportError):
                https.get("/livez")


def test_only_the_ciphers_of_the_list(open_door: OpenDoor, options: dict[str, object], authority: Authority) -> None:
    accepted, other = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
    door = open_door(**options, SslCiphersAccepted=[accepted])
    for cipher in (accepted, other):
        context = authority.client()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(cipher)
        with client(door.server.port, context) as https:
            if cipher == accepted:
                assert https.get("/livez").status_code == 200
            else:
                with pytest.raises(httpx.TransportError):
                    https.get("/livez")


def test_a_certificate_without_its_key_stops_the_start(
    open_door: OpenDoor, options: dict[str, object], server: Certificate
) -> None:
    with pytest.raises(ConfigurationError, match="SslCertificate: certificate and private key cannot be used"):
        open_door(**options | {"SslCertificate": str(server.certificate)})
    with pytest.raises(ConfigurationError, match="SslTrustedClientCertificates: cannot be used: No such file"):
        open_door(**options, SslVerifyPeers=True)


def test_a_mounted_secret_and_its_renewal(
    open_door: OpenDoor, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder as Kubernetes makes it, whose files are replaced one after the other."""
    monkeypatch.setattr("workers.renewed_tls.LOOK_SECONDS", 0.0)
    before, after = authority.issue("before"), authority.issue("after")

    def put(name: str, source: Path) -> None:
        (tmp_path / "new").write_bytes(source.read_bytes())
        (tmp_path / "new").replace(tmp_path / name)

    def shown(port: int) -> int:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            authority.client().wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            return connection.getpeercert()["serialNumber"]

    put("tls.crt", before.certificate)
    put("tls.key", before.key)
    door = open_door(SslEnabled=True, SslCertificate=str(tmp_path))
    first = shown(door.server.port)
    # Does not belong to the key that is there: the last pair that did goes on.
    put("tls.crt", after.certificate)
    assert shown(door.server.port) == first
    put("tls.key", after.key)
    assert shown(door.server.port) != first
    with client(door.server.port, authority.client()) as https:
        assert https.get("/livez").status_code == 200
