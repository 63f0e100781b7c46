"""Pods of the scenarios with certificates, a bucket, large objects, started from their manifests as a kubelet would.

Each has to pass its own probes, and the pods of `helm test` have to store and read back through its doors.
"""

import copy
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from tests.acceptance.chart.rendering import RELEASE, Manifest, find, render, values_of
from tests.acceptance.chart.test_monitoring import PHASES
from tests.acceptance.rollout.deployment import Controller
from tests.acceptance.rollout.machine import Machine
from tests.acceptance.rollout.manifests import Deployment, Template
from tests.acceptance.rollout.pod import Pod
from tests.acceptance.rollout.rehearsal import IMAGE, PROGRAMS, merged
from tests.support.certificates import Authority, Certificate
from tests.support.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, keys_of
from tests.support.servers import new_database
from tests.support.tuned_server import TunedPostgreSQL
from workers.local.children import wait_until
from workers.local.redis_server import LocalRedis

SCALE = 0.1
SECONDS = 60
ROLE = "archive"


@pytest.fixture(scope="module")
def database_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_authority: trustme.CA) -> Iterator[TunedPostgreSQL]:
    """PostgreSQL with TLS; `ROLE` comes in by its certificate and in no other way."""
    with TunedPostgreSQL(tmp_path_factory.mktemp("postgresql")) as server:
        server.serve_tls(database_authority, database_authority.issue_cert("localhost"))
        server.execute(f"CREATE ROLE {ROLE} LOGIN SUPERUSER")
        server.let_in([f"hostssl all {ROLE} 127.0.0.1/32 cert", "host all orthanc 127.0.0.1/32 scram-sha-256"])
        yield server


@pytest.fixture
def database(server: TunedPostgreSQL) -> Iterator[str]:
    with new_database(server) as name:
        yield name


class Release:
    """One scenario's release on this machine, of one pod a Deployment. Context manager."""

    def __init__(
        self, folder: Path, scenario: str, values: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.manifests = render(merged(merged(values_of(scenario), values), {"image": {"tag": "this"}}))
        by_key = {(name, key): text for name, keys in secrets.items() for key, text in keys.items()}
        self.machine = Machine(folder, by_key, {IMAGE: PROGRAMS}, SCALE)
        self.machine.storage.mkdir()
        self._pods: list[Pod] = []
        self._stack = ExitStack()

    def __enter__(self) -> "Release":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stack.close()
        if kind is None:
            # Each has drained and left by itself, after its preStop.
            assert [pod.exit_status for pod in self._pods] == [0] * len(self._pods)

    def start(self, *components: str) -> list[Pod]:
        """A pod of each, once all of them are ready by their own probes; fails if one had to be restarted."""
        controllers = [self._stack.enter_context(Controller(self.machine)) for _ in components]
        for controller, component in zip(controllers, components, strict=True):
            [manifest] = find(self.manifests, "Deployment", f"{RELEASE}-orthanc-cluster-{component}")
            controller.apply(Deployment.read(manifest, SCALE, replicas=1), self.manifests)
        complete = wait_until(lambda: all(controller.is_complete for controller in controllers), SECONDS)
        self._pods = pods = [pod for controller in controllers for pod in controller.live]
        told = "\n".join(pod.log for pod in pods)
        assert complete, f"{self.machine.history()}\n{told}"
        assert not any(controller.restarts for controller in controllers), told
        return pods

    def helm_test(self, ingest: Pod) -> None:
        """Run the pods of `helm test`, for which the Service is the one pod that there is."""
        for manifest in find(self.manifests, "Pod"):
            self.run(manifest, ingest)

    def run(self, manifest: Manifest, ingest: Pod, *more: str, without: str = "--none") -> None:
        """One pod to its end, which has to be a success; with `more` arguments, `without` those that begin so."""
        manifest = copy.deepcopy(manifest)
        [container] = manifest["spec"]["containers"]
        service = f"{RELEASE}-orthanc-cluster-dicom:104"
        container["args"] = [
            argument.replace(service, f"127.0.0.1:{ingest.ports['dicom']}")
            for argument in container["args"]
            if not argument.startswith(without)
        ] + list(more)
        name = self.machine.name(container["name"])
        process = self.machine.process(name, Template.read(manifest, SCALE), self.manifests, {})
        process.start()
        assert wait_until(lambda: not process.running, SECONDS), "it does not end"
        assert process.returncode == 0, process.log_path.read_text("utf-8")


def pair(certificate: Certificate) -> dict[str, str]:
    """As a Secret of type kubernetes.io/tls."""
    return {"tls.crt": certificate.certificate.read_text(), "tls.key": certificate.key.read_text()}


def users(*read_only: str) -> dict[str, str]:
    names = ", ".join(f'"{name}"' for name in read_only)
    return {"users.json": '{"uploader": "secret", "viewer": "secret"}', "readonly.json": f"[{names}]"}


def https(pod: Pod, context: ssl.SSLContext, user: str = "uploader") -> httpx.Client:
    url = f"https://127.0.0.1:{pod.ports['http']}"
    return httpx.Client(base_url=url, verify=context, auth=(user, "secret"), timeout=30, trust_env=False)


def test_everything_over_tls(
    tmp_path: Path, server: TunedPostgreSQL, database: str, database_authority: trustme.CA
) -> None:
    authority = Authority.create(tmp_path / "authority")
    own = database_authority.issue_cert("archive@archive.example", common_name=ROLE)
    secrets = {
        "archive-db-ca": {"ca.crt": database_authority.cert_pem.bytes().decode()},
        "archive-db-client": {
            "tls.crt": own.cert_chain_pems[0].bytes().decode(),
            "tls.key": own.private_key_pem.bytes().decode(),
        },
        "archive-dicom-tls": pair(authority.issue("dicom", "archive.example")),
        "modalities-ca": {"ca.crt": authority.pem.read_text()},
        "archive-http-tls": pair(authority.issue("http")),
        "archive-test-tls": pair(authority.issue("test", "test.example")) | {"ca.crt": authority.pem.read_text()},
        "archive-users": users("viewer"),
    }
    values = {"postgresql": {"host": "localhost", "port": server.port, "database": database, "username": ROLE}}
    with Release(tmp_path, "09-tls", values, secrets) as release:
        ingest, reading, _ = release.start("ingest", "http", "housekeeping")
        release.helm_test(ingest)
        # The HTTP pod reads what the ingest pod took, and has no door for DICOM.
        with https(reading, authority.client(), "viewer") as viewer:
            assert len(viewer.get("/instances").json()) == 1
            assert viewer.post("/instances", content=b"").status_code == 403
        assert "DICOM server" in ingest.log
        assert "DICOM server" not in reading.log
        # Who shows no certificate is no sender, and nothing is said in the clear.
        [echo] = find(release.manifests, "Pod", f"{RELEASE}-orthanc-cluster-test-echo")
        with pytest.raises(AssertionError, match=r"[Cc]onnection|certificate|TLS"):
            release.run(echo, ingest, without="--tls-")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{ingest.ports['http']}/livez", trust_env=False)


def test_clients_with_certificates_and_probes_without(
    tmp_path: Path, server: TunedPostgreSQL, database: str, database_authority: trustme.CA, redis: LocalRedis
) -> None:
    authority = Authority.create(tmp_path / "authority")
    http_pair = pair(authority.issue("http"))
    uri = server.uri(database).replace("127.0.0.1", "localhost")
    secrets = {
        "archive-db-app": {"pooler-uri": uri, "uri": uri},
        "archive-db-ca": {"ca.crt": database_authority.cert_pem.bytes().decode()},
        "archive-dicom-tls": pair(authority.issue("dicom", "archive.example")),
        "archive-http-tls": {"chain.pem": http_pair["tls.crt"], "key.pem": http_pair["tls.key"]},
        "clients-ca": {"ca.crt": authority.pem.read_text()},
        "archive-test-tls": {"ca.crt": authority.pem.read_text()},
        "archive-users": users(),
        "archive-redis": {"url": redis.url},
    }
    values = {"redis": {"url": "", "existingSecret": "archive-redis"}}
    with Release(tmp_path, "10-client-certificates", values, secrets) as release:
        ingest, _ = release.start("ingest", "worker")
        release.helm_test(ingest)
        with https(ingest, authority.client(authority.issue("client", "client.example"))) as client:
            assert len(client.get("/instances").json()) == 1
        with https(ingest, authority.client()) as nobody, pytest.raises(httpx.TransportError):
            nobody.get("/livez")
        # The other port is for probes and scrapes, and leads nowhere else.
        probes = httpx.Client(base_url=f"http://127.0.0.1:{ingest.ports['probes']}", trust_env=False)
        with probes:
            metrics = probes.get("/metrics").text
            assert "orthanc_cluster_ready 1.0" in metrics
            for phase in PHASES:
                counted = rf'^orthanc_cluster_phase_seconds_count\{{phase="{phase}"\}} [1-9]'
                assert re.search(counted, metrics, re.MULTILINE), phase
            assert probes.get("/instances", auth=("uploader", "secret")).status_code == 404


def test_a_bucket(tmp_path: Path, server: TunedPostgreSQL, database: str, s3: S3Server) -> None:
    # With a password over TLS that checks nothing, as the chart's default is.
    secrets = {
        "archive-app": {"password": password_of(server)},
        "archive-users": users(),
        "archive-bucket": {"ACCESS_KEY_ID": ACCESS_KEY, "ACCESS_SECRET_KEY": SECRET_KEY},
    }
    bucket = {"bucket": BUCKET, "region": "us-east-1", "endpoint": s3.endpoint, "rootPath": "chart"}
    values = {"postgresql": {"host": "localhost", "port": server.port, "database": database}, "storage": {"s3": bucket}}
    with Release(tmp_path, "11-s3", values, secrets) as release:
        (ingest,) = release.start("ingest")
        release.helm_test(ingest)
        assert len(keys_of(s3, "chart")) == 1
        assert not list(release.machine.storage.iterdir())


def test_large_objects_of_those_who_may_store(tmp_path: Path, server: TunedPostgreSQL, database: str) -> None:
    secrets = {"archive-app": {"password": password_of(server)}, "archive-users": users()}
    values = {"postgresql": {"host": "localhost", "port": server.port, "database": database}}
    with Release(tmp_path, "12-postgresql-storage", values, secrets) as release:
        (ingest,) = release.start("ingest")
        release.helm_test(ingest)
        [store] = find(release.manifests, "Pod", f"{RELEASE}-orthanc-cluster-test-store")
        with pytest.raises(AssertionError, match="the peer aborted"):
            release.run(store, ingest, "--time-limit=1", without="--calling-aet")
        assert not list(release.machine.storage.iterdir())


def password_of(server: TunedPostgreSQL) -> str:
    return (server.folder / "password").read_text().strip()
