"""DICOM over TLS: senders, and questions to an archive that is known by DICOM only."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from cluster.dicom.levels import Level
from cluster.errors import ConfigurationError, NodeBusy
from tests.integration.load.conftest import Node
from tests.support.certificates import Authority, Certificate
from workers.client_tls import ClientTls
from workers.load.dicom_archive import FIND, DicomArchive
from workers.load.options import LoadOptions
from workers.load.run import run_load
from workers.load.targets import Target


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    return authority.issue("server")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ClientTls:
    modality = authority.issue("modality", "modality.example")
    return ClientTls(authority.pem, modality.certificate, modality.key)


def test_senders_show_their_certificate(
    start_node: Callable[..., Node], authority: Authority, server: Certificate, tls: ClientTls
) -> None:
    node = start_node(
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(server.certificate),
        DicomTlsPrivateKey=str(server.key),
        DicomTlsTrustedCertificates=str(authority.pem),
    )
    options = LoadOptions(
        targets=(node.target,),
        settings=node.settings,
        instances=10,
        size="tiny",
        senders=2,
        shared_studies=True,
        tls=tls,
    )
    assert run_load(options).passed
    # And in the clear nothing is sent
    with pytest.raises(ConfigurationError, match="--target"):
        run_load(replace(options, tls=None))


@pytest.fixture
def pacs(authority: Authority, server: Certificate) -> Iterator[Target]:
    """Finds one study, and lets in only who has a certificate."""

    def found(_: Any) -> Iterator[tuple[int, Dataset]]:
        match = Dataset()
        match.StudyInstanceUID = "1.2.3"
        yield 0xFF00, match

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(server.certificate, server.key)
    entity = AE("PACS")
    entity.add_supported_context(FIND)
    scp = entity.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_FIND, found)]
    )
    yield Target("127.0.0.1", scp.server_address[1])
    scp.shutdown()


def test_an_archive_is_asked_over_tls(pacs: Target, tls: ClientTls, tmp_path: Path) -> None:
    with DicomArchive(pacs, "PACS", "LOAD", tls) as archive:
        assert archive.look() == (True, False)
        assert archive.find(Level.STUDY, "1.2.3") == ["1.2.3"]
    # And who has another authority does not ask it
    other = Authority.create(tmp_path)
    with DicomArchive(pacs, "PACS", "LOAD", ClientTls(other.pem)) as archive, pytest.raises(NodeBusy):
        archive.look()
