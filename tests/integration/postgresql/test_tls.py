"""Every sslmode against a server with TLS, and what is said where it cannot be had."""

import psycopg
import pytest

from cluster.database.connection import connect
from cluster.database.sqlstate import translate
from cluster.errors import AccessRefused
from tests.integration.postgresql.conftest import section

ENCRYPTED = "SELECT ssl, client_serial FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def session(server, **parameters):
    """How a connection as `scram_user`, with these parameters of libpq besides, is encrypted."""
    own = {"host": "localhost", "hostaddr": "127.0.0.1", "port": server.port, "dbname": "orthanc"}
    given = own | {"user": "scram_user", "password": "scram-hunter2"} | parameters
    uri = psycopg.conninfo.make_conninfo("", **given)
    try:
        with connect(section(ConnectionUri=uri)) as connection:
            return connection.execute(ENCRYPTED).fetchone()
    except psycopg.Error as error:
        raise translate(error) from error


@pytest.mark.parametrize("is_on", [True, False])
def test_enable_ssl(tls_server, open_database, is_on):
    fields = {"Host": "127.0.0.1", "Port": tls_server.port, "Database": "orthanc", "EnableSsl": is_on}
    database = open_database(Username="scram_user", Password="scram-hunter2", **fields)
    assert database.run("look", lambda c: c.execute(ENCRYPTED).fetchone()[0]) is is_on


def test_enable_ssl_refuses_a_server_without(postgresql):
    fields = {"Host": "127.0.0.1", "Port": postgresql.port, "Username": "orthanc", "EnableSsl": True}
    with pytest.raises(psycopg.OperationalError) as raised:
        connect(section(**fields))
    assert isinstance(translate(raised.value), AccessRefused)
    assert "server does not support SSL, but SSL was required" in str(translate(raised.value))


@pytest.mark.parametrize(
    ("mode", "is_encrypted"), [("disable", False), ("allow", False), ("prefer", True), ("require", True)]
)
def test_sslmode_without_check(tls_server, mode, is_encrypted):
    assert session(tls_server, sslmode=mode) == (is_encrypted, None)


def test_allow_and_prefer_take_what_the_server_insists_on(tls_server):
    with_tls = {"user": "tls_user", "password": "tls-hunter2"}
    assert session(tls_server, sslmode="allow", **with_tls)[0]
    assert not session(tls_server, sslmode="prefer", user="plain_user")[0]
    with pytest.raises(AccessRefused, match=r"no pg_hba.conf entry.*no encryption"):
        session(tls_server, sslmode="disable", **with_tls)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_sslmode_with_check(tls_server, authority, stranger, mode):
    assert session(tls_server, sslmode=mode, sslrootcert=str(authority.root))[0]
    with pytest.raises(AccessRefused, match="certificate verify failed"):
        session(tls_server, sslmode=mode, sslrootcert=str(stranger.root))
    with pytest.raises(AccessRefused, match=r"root certificate file .* does not exist"):
        session(tls_server, sslmode=mode, sslrootcert=str(authority.folder / "none.pem"))


def test_only_verify_full_looks_at_the_name(tls_server, authority):
    other = {"host": "archive.example", "sslrootcert": str(authority.root)}
    assert session(tls_server, sslmode="verify-ca", **other)[0]
    with pytest.raises(AccessRefused, match=r'"localhost" does not match host name "archive.example"'):
        session(tls_server, sslmode="verify-full", **other)


def test_client_certificate(tls_server, authority, stranger):
    def as_(name, issuer):
        return session(tls_server, sslmode="require", user="cert_user", **issuer.client(name))

    is_encrypted, serial = as_("cert_user", authority)
    assert is_encrypted
    assert serial is not None
    with pytest.raises(AccessRefused, match='certificate authentication failed for user "cert_user"'):
        as_("somebody", authority)
    with pytest.raises(AccessRefused, match="unknown ca"):
        as_("cert_user", stranger)
    with pytest.raises(AccessRefused, match="requires a valid client certificate"):
        session(tls_server, sslmode="require", user="cert_user")
