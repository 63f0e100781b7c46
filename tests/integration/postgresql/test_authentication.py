"""Every way in: nodes as an operator starts them, all at once; a wrong secret ends with status 3."""

import json
import signal

import httpx
import psycopg
import pytest

from cluster.coordinator.gate import Gate
from cluster.database.connection import connect
from cluster.database.sqlstate import translate
from cluster.errors import AccessRefused, DatabaseUnavailable
from tests.integration.postgresql.conftest import PASSWORDS, section
from tests.support.dicom import make_file
from tests.support.forked import Command, all_have_ended, forked
from tests.support.settings import settings_for
from workers.local.children import wait_until
from workers.local.ports import free_ports

WRONG = "wrong-hunter2"
SECRETS = [*PASSWORDS.values(), WRONG]


class Node(Command):
    port = 0
    stored = ""

    def is_ready(self):
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.TransportError:
            return self.has_ended


class Cases:
    """Section PostgreSQL and environment of each node, by what it is about."""

    def __init__(self, server, authority, stranger, folder):
        self._server, self._folder = server, folder
        self.authority, self.stranger = authority, stranger
        self.all = {}
        for right in ("right", "wrong"):
            is_right = right == "right"
            password = PASSWORDS["scram_user"] if is_right else WRONG
            for name, user in (("SCRAM", "scram_user"), ("md5", "md5_user")):
                own = PASSWORDS[user] if is_right else WRONG
                self.add(f"{name}, {right}", {**self._fields(user), "Password": own})
            url = f"postgresql://scram_user:{password}@127.0.0.1:{server.port}/orthanc"
            self.add(f"URI, {right}", {"ConnectionUri": url})
            self._add_files(right, password)
            issuer = authority if is_right else stranger
            certificate = issuer.client("cert_user")
            self.add(f"certificate, {right}", {"ConnectionUri": self._pairs("cert_user", **certificate)})
            # Whoever runs this is no scram_user.
            user = "peer_user" if is_right else "orthanc"
            self.add(f"peer, {right}", {"Host": str(server.sockets), **self._place(), "Username": user})

    def _add_files(self, right, password):
        passfile = self._secret(f"passfile {right}", f"127.0.0.1:*:orthanc:scram_user:{password}\n")
        self.add(f"PGPASSFILE, {right}", self._fields("scram_user"), PGPASSFILE=passfile)
        self.add(f"passfile, {right}", {"ConnectionUri": self._pairs("scram_user", passfile=passfile)})
        lines = {"host": "127.0.0.1", "port": self._server.port, "dbname": "orthanc", "user": "scram_user"}
        text = "".join(f"{key}={value}\n" for key, value in {**lines, "password": password}.items())
        service = self._secret(f"services {right}", f"[archive]\n{text}")
        self.add(f"service, {right}", {"ConnectionUri": "service=archive"}, PGSERVICEFILE=service)
        file = self._secret(f"password {right}", f"{password}\n")
        self.add(f"_FILE, {right}", self._fields("scram_user"), ORTHANC__POSTGRESQL__PASSWORD_FILE=file)

    def add(self, name, section, **environment):
        self.all[name] = (section, environment)

    def command(self, name, port):
        """The node of that name, not started."""
        section, environment = self.all[name]
        options = {"EnableIndex": True, "MaximumConnectionRetries": 1, "ConnectionRetryInterval": 0}
        file = self._folder / f"{name}.json"
        document = {
            "StorageDirectory": str(self._folder / "storage"),
            "DicomServerEnabled": False,
            "HttpPort": port,
            "PostgreSQL": options | section,
            "Cluster": {"NodeName": name},
        }
        file.write_text(json.dumps(document), "utf-8")
        node = Node(name, self._folder, ["ingest", "--verbose", "--config", str(file)], environment)
        node.port = port
        return node

    def _place(self):
        return {"Port": self._server.port, "Database": "orthanc"}

    def _fields(self, user):
        return {"Host": "127.0.0.1", **self._place(), "Username": user}

    def _pairs(self, user, **more):
        own = {"host": "127.0.0.1", "port": self._server.port, "dbname": "orthanc", "user": user}
        return psycopg.conninfo.make_conninfo("", **own, **more)

    def _secret(self, name, text):
        file = self._folder / name
        file.touch(mode=0o600)
        file.write_text(text, "utf-8")
        return str(file)


@pytest.fixture(scope="module")
def nodes(tls_server, authority, stranger, tmp_path_factory):
    """What became of all of them."""
    cases = Cases(tls_server, authority, stranger, tmp_path_factory.mktemp("nodes"))
    ports = free_ports(len(cases.all))
    started = {name: cases.command(name, port) for name, port in zip(cases.all, ports, strict=True)}
    with forked(list(started.values())):
        for name, node in started.items():
            if "right" in name and wait_until(node.is_ready, 30) and not node.has_ended:
                answer = httpx.post(f"http://127.0.0.1:{node.port}/instances", content=make_file(PatientID=name))
                node.stored = answer.json().get("Status", "")
                node.signal(signal.SIGTERM)
        assert all_have_ended(list(started.values()))
    return started


WAYS = ["SCRAM", "md5", "URI", "PGPASSFILE", "passfile", "service", "_FILE", "certificate", "peer"]
REASONS = {
    "md5": 'password authentication failed for user "md5_user"',
    "certificate": "unknown ca",
    "peer": "no password supplied",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_right_one_lets_in(nodes, way):
    node = nodes[f"{way}, right"]
    assert (node.status, node.stored) == (0, "Success"), node.log.read_text()


@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_one_is_told_and_is_status_3(nodes, way):
    node = nodes[f"{way}, wrong"]
    assert node.status == 3, node.log.read_text()
    last = node.log.read_text().splitlines()[-1]
    assert last.startswith('orthanc-cluster: no connection to server at "127.0.0.1"' if way != "peer" else "orthanc-")
    assert REASONS.get(way, 'password authentication failed for user "scram_user"') in last


@pytest.mark.parametrize("secret", SECRETS)
def test_no_log_holds_a_secret(nodes, secret):
    assert all("PostgreSQL index" in node.log.read_text() for node in nodes.values())
    assert not [name for name, node in nodes.items() if secret in node.log.read_text()]


def test_a_missing_service_and_a_missing_database_are_told(tls_server, tmp_path):
    def refused(uri):
        options = {"MaximumConnectionRetries": 0}
        with pytest.raises(AccessRefused) as raised:
            Gate(settings_for(uri, postgresql=options)).wait_until_ready()
        return str(raised.value)

    assert 'database "none" does not exist' in refused(tls_server.uri("none"))
    assert 'definition of service "none" not found' in refused("service=none")
    nobody = tls_server.uri().replace("//orthanc:", "//nobody:")
    assert 'no pg_hba.conf entry for host "127.0.0.1", user "nobody"' in refused(nobody)


def told_by(server):
    with psycopg.connect(server.uri()) as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute("SELECT 1/0")
    return str(raised.value)


@pytest.fixture(scope="module")
def german(tls_server):
    """The server when its messages are German, with a role that may not connect; or the tests are skipped."""
    tls_server.execute("CREATE ROLE crowd LOGIN PASSWORD 'crowd' CONNECTION LIMIT 0")
    tls_server.execute("ALTER SYSTEM SET lc_messages = 'C.UTF-8'")
    tls_server.reload()
    if told_by(tls_server).startswith("division by zero"):
        pytest.skip("this PostgreSQL speaks no German")
    yield tls_server
    tls_server.execute("ALTER SYSTEM SET lc_messages = 'C'", "DROP ROLE crowd")
    tls_server.reload()


def uri_of(server, user, password):
    return f"postgresql://{user}:{password}@127.0.0.1:{server.port}/orthanc"


@pytest.mark.parametrize(
    ("place", "words", "sqlstate", "kind"),
    [
        (("orthanc", WRONG), "Passwort-Authentifizierung", "28P01", AccessRefused),
        (("crowd", "crowd"), "zu viele Verbindungen", "53300", DatabaseUnavailable),
    ],
)
def test_a_refusal_in_another_language_is_known_by_its_code(german, place, words, sqlstate, kind):
    with pytest.raises(psycopg.OperationalError) as raised:
        connect(section(ConnectionUri=uri_of(german, *place)))
    meaning = translate(raised.value)
    assert type(meaning) is kind
    assert words in str(meaning)
    assert sqlstate in str(meaning)


def test_whom_another_language_refuses_gives_up(german, open_database):
    settings = settings_for(uri_of(german, "orthanc", WRONG), postgresql={"MaximumConnectionRetries": 0})
    with pytest.raises(AccessRefused, match="Passwort"):
        Gate(settings).wait_until_ready()
    with pytest.raises(AccessRefused, match=r"Datenbank .*none.* existiert nicht"):
        Gate(settings_for(german.uri("none"), postgresql={"MaximumConnectionRetries": 0})).wait_until_ready()
    database = open_database(uri_of(german, "orthanc", WRONG), budget=0.2, MaximumConnectionRetries=0)
    with pytest.raises(AccessRefused, match="28P01"):
        database.run("look", lambda cursor: cursor.execute("SELECT 1"))
