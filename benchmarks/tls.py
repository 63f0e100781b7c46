"""What does TLS cost? C-STORE on a node, in the clear and over TLS with certificates on both sides, by turns.

    python -m benchmarks.tls [--smoke]

Sender and node share the machine, so the sender's half of the cryptography counts too.
"""

import ssl
import sys
import tempfile
import threading
import time
from pathlib import Path

from cluster.schema.install import install_database
from tests.support.certificates import Authority
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from workers.local.postgresql import LocalPostgreSQL
from workers.storescu import Association

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
SENDERS = 8
SIZES = {"14 KB": 14_000, "512 KB": 524_288}


def send(node: NodeProcess, tls: ssl.SSLContext | None, size: int, instances: int) -> float:
    """Instances per second over `SENDERS` associations; every one has to be stored."""
    refused: list[int] = []

    def one() -> None:
        with Association.request(
            "127.0.0.1",
            node.dicom_port,
            called_aet="ORTHANC",
            calling_aet="TLS",
            contexts=[(CT, [EXPLICIT])],
            tls=tls,
        ) as association:
            for _ in range(instances // SENDERS):
                file = make_file(PixelData=bytes(size))
                start = 144 + int.from_bytes(file[140:144], "little")
                uid = file[file.index(b"\x08\x00\x18\x00UI") + 8 :]
                uid = uid[: int.from_bytes(file[file.index(b"\x08\x00\x18\x00UI") + 6 :][:2], "little")]
                refused.extend(
                    filter(None, [association.store(CT, uid.rstrip(b"\0").decode(), EXPLICIT, file[start:])])
                )

    threads = [threading.Thread(target=one) for _ in range(SENDERS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused
    return len(threads) * (instances // SENDERS) / (time.monotonic() - started)


def main() -> None:
    """Print a line for each size."""
    smoke = "--smoke" in sys.argv
    instances, turns = (16, 1) if smoke else (800, 3)
    with tempfile.TemporaryDirectory() as name, LocalPostgreSQL(Path(name) / "postgresql") as postgresql:
        folder = Path(name)
        install_database(postgresql.uri("postgres"))
        (folder / "storage").mkdir()
        authority = Authority.create(folder / "tls")
        server = authority.issue("server")
        options = {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(server.certificate),
            "DicomTlsPrivateKey": str(server.key),
            "DicomTlsTrustedCertificates": str(authority.pem),
        }
        context = authority.client(authority.issue("sender"))
        uri, storage = postgresql.uri("postgres"), folder / "storage"
        with (
            NodeProcess("plain", folder, uri, storage) as plain,
            NodeProcess("tls", folder, uri, storage, **options) as secured,
        ):
            for label, size in SIZES.items():
                figures = [
                    (send(plain, None, size, instances), send(secured, context, size, instances)) for _ in range(turns)
                ]
                clear, encrypted = (sorted(column)[turns // 2] for column in zip(*figures, strict=True))
                print(
                    f"{label}: {clear:.0f} instances/s in the clear, {encrypted:.0f} over TLS ({encrypted / clear:.0%})"
                )


if __name__ == "__main__":
    main()
