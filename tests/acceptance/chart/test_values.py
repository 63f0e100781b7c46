"""Values: made documents are current, typing errors are refused, contradictions fail by name."""

import subprocess
import sys

import helm_python
import pytest

from tests.acceptance.chart.rendering import ROOT, default_values, render, values_of


def paths(values, prefix=()):
    """Every object of values.yaml whose keys the chart knows by name."""
    yield prefix
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in ("resources", "labels", "tlsConfig"):
            yield from paths(value, (*prefix, key))


def with_value(path, value):
    nested = value
    for key in reversed(path):
        nested = {key: nested}
    return merged(values_of("01-smallest"), nested)


def merged(below, above):
    both = dict(below)
    for key, value in above.items():
        both[key] = merged(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
    return both


def test_schema_and_table_are_those_of_the_comments():
    ended = subprocess.run(
        [sys.executable, ROOT / "helm" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("path", list(paths(default_values())), ids=".".join)
def test_a_misspelt_key_is_refused(path):
    with pytest.raises(helm_python.HelmError, match="typo"):
        render(with_value((*path, "typo"), "x"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ingest.replicas", "2"),
        ("ingest.service.type", "Loadbalancer"),
        ("ingest.service.port", 104000),
        ("ingest.resources.limits.memory", 1024),
        ("ingest.resources.limit", {}),
        ("upgrade.expectedMinutes", 0),
        ("upgrade.job.hooks", ["post-upgrad"]),
        ("dicom.aet", "SEVENTEEN-LETTERS"),
        ("dicom.port", 104),
        ("redis.url", "redis://user:password@redis:6379/0"),
        ("http.ingress.paths", ["instances"]),
        ("podSecurity.runAsUser", 0),
        ("shutdown.marginSeconds", 5),
        ("storage.type", "nfs"),
        ("storage.s3.endpoint", "https://key:secret@objects.example.org"),
        ("dicom.tls.minimumProtocolVersion", 6),
        ("postgresql.certificates.sslmode", "require"),
    ],
)
def test_a_value_that_cannot_be_is_refused(path, value):
    with pytest.raises(helm_python.HelmError):
        render(with_value(path.split("."), value))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("postgresql.existingSecret", "", "postgresql.existingSecret"),
        ("postgresql.host", "", "postgresql.host"),
        ("redis.url", "", "redis.url"),
        ("http.authentication.existingSecret", "", "http.authentication.existingSecret"),
        ("orthanc.RegisteredUsers", {"a": "b"}, "orthanc.RegisteredUsers"),
        ("orthanc.PostgreSQL.Password", "secret", "orthanc.PostgreSQL.Password"),
        ("orthanc.Cluster.DrainSeconds", 300, "orthanc.Cluster.DrainSeconds"),
        ("http.ingress.enabled", True, "http.ingress.host"),
        ("http.gateway.enabled", True, "http.gateway.parentRefs"),
        ("worker", {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}, "worker.keda"),
        ("dicom.tls.enabled", True, "dicom.tls.existingSecret"),
        ("dicom.tls", {"enabled": True, "existingSecret": "a"}, "dicom.tls.trusted.existingSecret"),
        (
            "dicom.tls",
            {"enabled": True, "existingSecret": "a", "remoteCertificateRequired": False},
            "tests.tls.existingSecret",
        ),
        ("http.tls.enabled", True, "http.tls.existingSecret"),
        (
            "http.tls",
            {"enabled": True, "existingSecret": "a", "clientCertificates": {"required": True}},
            "http.tls.clientCertificates.trusted.existingSecret",
        ),
        ("orthanc.SslEnabled", True, "orthanc.SslEnabled"),
        ("orthanc.DicomTlsPrivateKey", "key.pem", "orthanc.DicomTlsPrivateKey"),
        ("orthanc.AwsS3Storage.SecretKey", "secret", "orthanc.AwsS3Storage.SecretKey"),
        ("orthanc.AwsS3Storage.StorageStructure", "legacy", "storage.type s3"),
        ("orthanc.Cluster.ReadOnlyUsers", ["a"], "orthanc.Cluster.ReadOnlyUsers"),
        ("storage.type", "s3", "storage.s3.bucket"),
        ("postgresql", {"existingSecret": "", "keys": {"uri": "uri"}}, "postgresql.existingSecret"),
    ],
)
def test_a_contradiction_fails_by_name(path, value, said):
    with pytest.raises(helm_python.HelmError, match=said):
        render(with_value(path.split("."), value))
