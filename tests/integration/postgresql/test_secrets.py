"""Secrets of every kind, in nodes that succeed, are refused, fail and crash: none is in anything that they write.

Everything is logged that any library has to say, and statements are too. One test, as the nodes are what takes time;
each kind of secret has a value of its own, so that a failure tells which one it was, and where.
"""

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.parse
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psycopg
import pytest
import redis
from cryptography.hazmat.primitives import serialization

from cluster.schema.install import install_database
from tests.integration.postgresql.conftest import PASSWORDS
from tests.integration.storescp.peer import CT, EXPLICIT, association_request
from tests.support.certificates import Authority as Certificates
from tests.support.collector import Collector
from tests.support.dicom import make_file
from tests.support.forked import Command, all_have_ended, forked
from tests.support.proxy import Proxy
from tests.support.s3 import SECRET_KEY
from workers.local.children import wait_until
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess
from workers.local.redis_server import find_binary
from workers.storescu import Association

DATABASE = "secrets"
SECRETS = {
    "password of the database, option": PASSWORDS["scram_user"],
    "password of the database, ConnectionUri": PASSWORDS["md5_user"],
    "wrong one, ConnectionUri": "wr@ng-uri-hunter2",
    "wrong one, password file": "wrong-file-hunter2",
    "passphrase of a client's key": "passphrase-hunter2",
    "wrong passphrase": "wrong-passphrase-hunter2",
    "passphrase of the DICOM key": "dicom-passphrase-hunter2",
    "password of Redis": "redis-hunter2",
    "wrong password of Redis": "wrong-redis-hunter2",
    "S3 secret key": SECRET_KEY,
    "wrong S3 secret key": "wrong-s3-hunter2",
    "wrong S3 access key": "wrong-access-hunter2",
    "password of a user": "user-hunter2",
    "password of a reader, from a file": "reader-hunter2",
    "wrong password of a user": "wrong-user-hunter2",
    "token": "token-hunter2",
    "password of the collector of traces, in its URL": "collector-hunter2",
    "key of the collector of traces, in a header": "collector-key-hunter2",
    "one in a header that is written wrongly": "collector-colon-hunter2",
}
ADMIN = ("admin", SECRETS["password of a user"])
BEARER = {"Authorization": f"Bearer {SECRETS['token']}"}


class Stage:
    """Servers, certificates, and the configurations of the nodes."""

    def __init__(self, tls_server, authority, s3, folder, stack):
        self.folder, self.server, self.s3 = folder, tls_server, s3
        self.certificates = Certificates.create(folder / "certificates")
        self.own = self.certificates.issue("server")
        self.client = authority.client("cert_user")
        self.encrypted = self._encrypted(Path(self.client["sslkey"]), "passphrase of a client's key")
        self.proxy = stack.enter_context(Proxy("127.0.0.1", s3.port))
        self.collector = stack.enter_context(Collector())
        self.redis_port, self.dicom_port = free_ports(2)
        self.redis = self._redis()
        stack.callback(self.redis.kill)
        self.ports = {}

    def _redis(self):
        password = SECRETS["password of Redis"]
        options = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--requirepass", password, "--save", ""]
        process = ManagedProcess("redis", [find_binary(), *options], log_path=self.folder / "redis.txt")
        process.start()
        client = redis.Redis(port=self.redis_port, password=password)

        def answers():
            with suppress(redis.RedisError):
                return client.ping()

        process.wait_ready(answers, 30)
        client.close()
        return process

    def _encrypted(self, key, secret):
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        file = self.folder / f"{secret}.key"
        file.touch(mode=0o600)
        password = serialization.BestAvailableEncryption(SECRETS[secret].encode())
        form = serialization.PrivateFormat.PKCS8
        file.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, form, password))
        return str(file)

    def uri(self, user="md5_user", secret="password of the database, ConnectionUri"):
        password = urllib.parse.quote(SECRETS[secret], safe="")
        return f"postgresql://{user}:{password}@127.0.0.1:{self.server.port}/{DATABASE}?sslmode=require"

    def with_key(self, secret):
        own = {"host": "127.0.0.1", "port": self.server.port, "dbname": DATABASE, "user": "cert_user"}
        key = {"sslcert": self.client["sslcert"], "sslkey": self.encrypted, "sslpassword": SECRETS[secret]}
        return psycopg.conninfo.make_conninfo("", **own, **key)

    def fields(self):
        return {"Host": "127.0.0.1", "Port": self.server.port, "Database": DATABASE, "Username": "scram_user"}

    def bucket(self, **changes):
        endpoint = f"http://127.0.0.1:{self.proxy.port}"
        return {"AwsS3Storage": self.s3.options | {"Endpoint": endpoint, "RootPath": "secrets"} | changes}

    def traces(self, url):
        """Variables of OpenTelemetry."""
        password = SECRETS["password of the collector of traces, in its URL"]
        key = SECRETS["key of the collector of traces, in a header"]
        wrong = SECRETS["one in a header that is written wrongly"]
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url.replace("://", f"://tracer:{password}@"),
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={key},x-other-key: {wrong}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def node(self, name, postgresql, *, role="ingest", cluster=None, environment=None, **options):
        [self.ports[name]] = free_ports(1)
        common = {"EnableIndex": True, "MaximumConnectionRetries": 1, "ConnectionRetryInterval": 1}
        document = {
            "StorageDirectory": str(self.folder / "storage"),
            "DicomServerEnabled": False,
            "HttpPort": self.ports[name],
            "PostgreSQL": common | {"EnableVerboseLogs": True} | postgresql,
            "Cluster": {"NodeName": name, "RedisUrl": self.redis_url()} | (cluster or {}),
        }
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(document | options), "utf-8")
        argv = [role, *(["--verbose"] if role in ("ingest", "worker") else []), "--config", str(file)]
        return Command(name, self.folder, argv, environment or {}, is_all_logged=True)

    def redis_url(self, secret="password of Redis"):
        return f"redis://:{SECRETS[secret]}@127.0.0.1:{self.redis_port}/0"

    def everything(self, name="everything"):
        """The node that has all there is, and all of it right."""
        tls = {
            "SslEnabled": True,
            "SslCertificate": str(self.own.both),
            "DicomServerEnabled": True,
            "DicomPort": self.dicom_port,
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(self.own.certificate),
            "DicomTlsPrivateKey": str(self.own.key),
            "DicomTlsTrustedCertificates": str(self.certificates.pem),
        }
        secret = self.folder / "reader"
        secret.write_text(SECRETS["password of a reader, from a file"])
        users = {"AuthenticationEnabled": True, "RegisteredUsers": {"admin": ADMIN[1]}}
        password = {"Password": SECRETS["password of the database, option"], "EnableSsl": True}
        return self.node(
            name,
            self.fields() | password,
            cluster={"DirectConnectionUri": self.with_key("passphrase of a client's key"), "ReadOnlyUsers": ["Reader"]},
            environment={"ORTHANC__REGISTERED_USERS__READER_FILE": str(secret)} | self.traces(self.collector.url),
            **tls | users | self.bucket(),
        )

    def failing(self):
        """Nodes with one thing wrong each; those that go on running come first."""
        passfile = self.folder / "passfile"
        passfile.touch(mode=0o600)
        passfile.write_text(f"127.0.0.1:*:*:scram_user:{SECRETS['wrong one, password file']}\n")
        dicom_key = self._encrypted(self.own.key, "passphrase of the DICOM key")
        tls = {"DicomTlsEnabled": True, "DicomTlsCertificate": str(self.own.certificate)}
        right = {"ConnectionUri": self.uri()}
        access = self.bucket(AccessKey=SECRETS["wrong S3 access key"])
        return [
            self.node("wrong S3 secret", right, **self.bucket(SecretKey=SECRETS["wrong S3 secret key"])),
            self.node("wrong S3 key", right, **access),
            self.node("wrong URI", {"ConnectionUri": self.uri(secret="wrong one, ConnectionUri")}),
            self.node("wrong file", self.fields(), environment={"PGPASSFILE": str(passfile)}),
            self.node("wrong passphrase", {"ConnectionUri": self.with_key("wrong passphrase")}),
            self.node(
                "encrypted DICOM key",
                right,
                DicomServerEnabled=True,
                DicomPort=free_ports(1)[0],
                DicomTlsRemoteCertificateRequired=False,
                **tls | {"DicomTlsPrivateKey": dicom_key},
            ),
        ]


@pytest.fixture
def stage(tls_server, authority, s3, tmp_path):
    with psycopg.connect(tls_server.uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    install_database(tls_server.uri(DATABASE))
    with ExitStack() as stack:
        yield Stage(tls_server, authority, s3, tmp_path, stack)


def ask(stage, node):
    """Every kind of answer, as text, of a node that works; the requests of strangers too."""
    port = stage.ports[node.name]
    written = []
    with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=stage.certificates.client(), timeout=60) as client:

        def request(method, path, **options):
            answer = client.request(method, path, **options)
            written.append(f"{answer.headers}\n{answer.text}")
            return answer.status_code

        assert wait_until(lambda: _answers(client), 60), node.log.read_text()
        for path in ("/readyz", "/metrics"):
            assert request("GET", path) == 200
        token = {"token": SECRETS["token"]}
        for auth in (("admin", SECRETS["wrong password of a user"]), (SECRETS["wrong password of a user"], "x")):
            assert request("GET", "/system", auth=auth) == 401
        assert request("GET", "/system", headers=BEARER, params=token) == 401
        assert request("GET", "/system", headers={"Authorization": f"Basic {SECRETS['token']}"}) == 401
        reader = ("Reader", SECRETS["password of a reader, from a file"])
        assert request("GET", "/statistics", auth=reader) == 200
        assert request("POST", "/instances", auth=reader, content=b"x") == 403
        client.auth = ADMIN
        for path in ("/system", "/statistics", "/tools/dicom-conformance", "/openapi.json", "/changes", "/jobs"):
            assert request("GET", path, params=token, headers={"Cookie": f"session={SECRETS['token']}"}) == 200
        assert request("GET", f"/nowhere/{'x' * 50}", params=token) == 404
        assert request("POST", "/instances", content=make_file()) == 200
        assert request("POST", "/instances", content=b"no DICOM", params=token) == 400
        [study] = client.get("/studies").json()
        # Needs the broker
        assert request("POST", f"/studies/{study}/archive", json={"Asynchronous": True}) == 200
        _strangers(stage, port)
        # The bucket, then the database, turn away
        stage.proxy.refuse()
        stage.proxy.cut()
        assert request("POST", "/instances", content=make_file()) == 503
        assert wait_until(lambda: request("GET", "/readyz") == 503, 30)
        written.append(_run_beside(stage, node))
        stage.proxy.refuse(False)
        assert wait_until(lambda: request("GET", "/readyz") == 200, 30)
        with psycopg.connect(stage.server.uri(DATABASE), autocommit=True) as connection:
            others = "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
            connection.execute(f"SELECT pg_terminate_backend(pid) {others}", (DATABASE,))
            assert request("POST", "/instances", content=make_file()) == 200
            connection.execute("ALTER TABLE AttachedFiles ADD CONSTRAINT none CHECK (fileType <> 1) NOT VALID")
            assert request("POST", "/instances", content=make_file()) >= 500
            connection.execute("ALTER TABLE AttachedFiles DROP CONSTRAINT none")
        for path in ("/metrics", "/readyz"):
            request("GET", path)
        assert stage.collector.named("POST /instances").attributes
        stage.collector.status = 401
        request("GET", "/system")
        assert wait_until(lambda: "the collector of traces does not take spans" in node.log.read_text(), 30)
    return written


def _answers(client):
    with suppress(httpx.TransportError):
        return client.get("/readyz").status_code == 200


def _strangers(stage, port):
    """Those whom TLS keeps out, at both doors, and one over DICOM whom it does not."""
    for strangers_port in (port, stage.dicom_port):
        with socket.create_connection(("127.0.0.1", strangers_port), timeout=10) as peer, suppress(OSError):
            peer.sendall(association_request())
            peer.recv(100)
        trusting_nobody = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", strangers_port), timeout=10) as peer, suppress(OSError):
            trusting_nobody.wrap_socket(peer, server_hostname="localhost")
    own = stage.certificates.client(stage.own)
    contexts = [(CT, [EXPLICIT])]
    with Association.request(
        "127.0.0.1", stage.dicom_port, called_aet="ORTHANC", calling_aet="SENDER", contexts=contexts, tls=own
    ) as association:
        assert association.store(CT, "2.25.1", EXPLICIT, b"nonsense") != 0


def _run_beside(stage, node):
    """What other commands say on the same configuration; `nodes` with the reason for which this one is not ready."""
    file = node.argv[-1]
    programs = [["nodes", "--config", file], ["schema", "status", "--json", "--config", file]]
    environment = os.environ | node.environment
    ended = [
        subprocess.run(
            [sys.executable, "-m", "workers", *program], capture_output=True, text=True, timeout=60, env=environment
        )
        for program in programs
    ]
    assert [it.returncode for it in ended] == [0, 0], ended
    assert "everything" in ended[0].stdout
    return "".join(it.stdout + it.stderr for it in ended)


def _worker(stage):
    """Output of a worker whose Redis does not let it in."""
    secret = {"RedisUrl": stage.redis_url("wrong password of Redis")}
    command = stage.node("worker", {"ConnectionUri": stage.uri()}, role="worker", cluster=secret)
    argv = [sys.executable, "-m", "workers", *command.argv, "--processes", "1"]
    process = ManagedProcess("worker", argv, log_path=command.log)
    process.start()
    url = f"http://127.0.0.1:{stage.ports['worker']}/readyz"
    reasons = []

    def is_refused():
        with suppress(httpx.TransportError):
            reasons.append(httpx.get(url).text)
            return "broker" in reasons[-1]

    try:
        process.wait_ready(is_refused, 60)
    finally:
        process.kill()
    return [reasons[-1], command.log.read_text("utf-8")]


def everything_in(uri):
    """All rows of all tables of ours, as text."""
    tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('cluster', 'public')"
    with psycopg.connect(uri) as connection:
        return "".join(
            str(connection.execute(f"SELECT t::text FROM {table} t").fetchall())
            for (table,) in connection.execute(tables).fetchall()
        )


def forms_of(secret):
    """As it is, in a URL, and in the header of HTTP Basic with the users of these tests."""
    yield secret
    yield urllib.parse.quote(secret, safe="")
    for user in ("admin", "Reader", "tracer"):
        yield base64.b64encode(f"{user}:{secret}".encode()).decode()


def key_lines(file):
    """The middle of a key, where keys differ, as one text and line by line."""
    content = re.sub(r"-----[^-]+-----", "", Path(file).read_text())
    yield from (line for line in content.splitlines() if len(line) >= 40)


def test_no_secret_is_in_anything_that_is_written(stage):
    everything, failing, crashing = stage.everything(), stage.failing(), stage.everything("crashing")
    crashing.has_defect = True
    commands = [everything, crashing, *failing]
    with forked(commands):
        written = {"answers": "\n".join(ask(stage, everything)), "worker": "\n".join(_worker(stage))}
        assert wait_until(lambda: all("refuses access" in it.log.read_text() for it in failing[:2]), 30)
        for command in failing[:2]:
            command.signal(signal.SIGTERM)
        everything.signal(signal.SIGABRT)
        assert all_have_ended(commands)
    written["spans"] = b"".join(stage.collector.bodies).decode("latin-1")
    written["tables"] = everything_in(stage.server.uri(DATABASE))
    written |= {command.name: command.log.read_text("utf-8") for command in commands}
    # What was to be seen was seen
    assert [command.status for command in failing] == [0, 0, 3, 3, 3, 2]
    log = written["everything"]
    seen = ("Fatal Python error: Aborted", "HTTP authentication of a caller", "SQL, ", "TLS handshake failed")
    for what in (*seen, "traces go to 127.0.0.1:", "Header format invalid!"):
        assert what in log, what
    assert "POST /instances" in written["spans"]
    assert "RuntimeError: a defect with " in written["crashing"]
    assert "DEBUG" in log
    assert "bucket orthanc" in written["tables"] + written["answers"]
    # and no secret
    secrets = {name: list(forms_of(secret)) for name, secret in SECRETS.items()}
    for file in (stage.own.key, stage.client["sslkey"], stage.encrypted):
        secrets[f"content of {Path(file).name}"] = list(key_lines(file))
    told = [(name, where) for name, forms in secrets.items() for where in written if _any(forms, written[where])]
    assert told == []


def _any(forms, text):
    assert forms
    return any(form in text or form in text.replace("\n", "") for form in forms)
