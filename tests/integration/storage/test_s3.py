"""What only a bucket has: keys, credentials, and a network between; the rest is in test_areas.py."""

import time
import uuid
from contextlib import closing

import httpx
import pytest

from cluster.errors import StorageFailed, StorageUnavailable, UnknownResource
from cluster.ingest.intake import open_intake
from cluster.ingest.origin import Origin
from tests.support.dicom import make_file
from tests.support.nodes import NodeProcess
from tests.support.proxy import Proxy
from tests.support.s3 import READER_KEY, READER_SECRET, SECRET_KEY, keys_of
from tests.support.settings import settings_for
from workers.local.children import wait_until
from workers.storescu import Association, AssociationRejected

ORIGIN = Origin("DicomProtocol", "SENDER", "127.0.0.1", "ORTHANC")


@pytest.fixture
def open_(s3, database_uri, storage_directory):
    opened = []

    def open_with(**options):
        options = s3.options | {"RootPath": "here"} | options
        opened.append(open_intake(settings_for(database_uri, storage_directory, AwsS3Storage=options)))
        return opened[-1]

    yield open_with
    for intake in opened:
        intake.close()


def send(intake, file):
    with intake.receive(ORIGIN) as reception:
        reception.write(file)
        return reception.commit()


@pytest.mark.parametrize("structure", ["flat", "legacy"])
def test_keys_are_those_of_orthancs_plugin(open_, s3, structure):
    root = uuid.uuid4().hex
    storage = open_(RootPath=f"{root}/archive/", StorageStructure=structure).storage
    attachments = {kind: storage.create(kind) for kind in (1, 2, 3, 1024)}
    for kind, attachment in attachments.items():
        attachment.write(b"%d" % kind)
        attachment.finish()
    storage.make_durable(list(attachments.values()))
    names = {kind: attachment.uuid for kind, attachment in attachments.items()}
    endings = {1: ".dcm", 2: ".json", 3: ".unk", 1024: ".unk"}
    expected = {
        f"archive/{name}{endings[kind]}" if structure == "flat" else f"archive/{name[0:2]}/{name[2:4]}/{name}"
        for kind, name in names.items()
    }
    assert keys_of(s3, root) == expected
    for kind, name in names.items():
        with storage.open(name) as file:
            assert file.read() == b"%d" % kind
        assert storage.age_of(name) < 60
    assert sorted(storage.remove_all(list(names.values()))) == sorted(names.values())
    assert keys_of(s3, root) == set()


def test_nothing_in_it(open_):
    storage = open_().storage
    attachment = storage.create(1024)
    attachment.finish()
    storage.make_durable([attachment])
    with storage.open(attachment.uuid) as file:
        assert file.read() == b""


def test_a_name_that_is_no_uuid(open_):
    storage = open_().storage
    with pytest.raises(UnknownResource):
        storage.open("../../etc/passwd")
    good = str(uuid.uuid4())
    assert storage.remove_all(["../etc", good]) == ["../etc", good]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"SecretKey": "wrong-and-secret"}, "SignatureDoesNotMatch"),
        ({"AccessKey": "nobody"}, "InvalidAccessKeyId"),
        ({"AccessKey": READER_KEY, "SecretKey": READER_SECRET}, "AccessDenied"),
    ],
)
def test_who_may_not_is_told_what_to_look_at(open_, s3, options, reason):
    intake = open_(**options)
    with pytest.raises(StorageFailed, match=f"AwsS3Storage: {s3.endpoint} refuses access to bucket orthanc") as caught:
        send(intake, make_file())
    message = str(caught.value)
    assert reason in message
    assert "AccessKey" in message
    assert not any(secret in message for secret in ("wrong-and-secret", READER_SECRET, SECRET_KEY))
    # and the node is not ready for that reason
    intake.storage.probe()
    assert intake.storage.health.reason == message


def test_a_bucket_that_is_not_there(open_):
    storage = open_(BucketName="nowhere").storage
    with pytest.raises(StorageFailed, match=r"AwsS3Storage\.BucketName: there is no bucket nowhere"):
        storage.open(str(uuid.uuid4()))


def test_one_who_may_only_read_reads(open_):
    writer, reader = open_(), open_(AccessKey=READER_KEY, SecretKey=READER_SECRET)
    attachment = writer.storage.create()
    attachment.write(b"content")
    attachment.finish()
    writer.storage.make_durable([attachment])
    with reader.storage.open(attachment.uuid) as file:
        assert file.read() == b"content"
    assert reader.storage.remove_all([attachment.uuid]) == []


def test_nobody_listens(open_):
    intake = open_(Endpoint="http://127.0.0.1:1", ConnectionTimeout=1)
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match=r"bucket orthanc at http://127\.0\.0\.1:1: "):
        send(intake, make_file())
    assert time.monotonic() - started < 20


def test_a_bucket_out_of_reach_makes_the_node_wait(s3, tmp_path, database_uri, storage_directory):
    with Proxy("127.0.0.1", s3.port) as proxy:
        options = s3.options | {"RootPath": uuid.uuid4().hex, "Endpoint": f"http://127.0.0.1:{proxy.port}"}
        postgresql = {"EnableIndex": True, "ConnectionUri": database_uri, "ConnectionRetryInterval": 1}
        node = NodeProcess(
            "node", tmp_path, database_uri, storage_directory, AwsS3Storage=options, PostgreSQL=postgresql
        )

        def readiness():
            return httpx.get(f"{node.url}/readyz", timeout=10, trust_env=False)

        with node:
            # Given a node that has stored something
            file = make_file(SOPInstanceUID="2.25.1")
            stored = httpx.post(f"{node.url}/instances", content=file, trust_env=False).json()["ID"]
            # When the bucket cannot be reached any more
            proxy.refuse()
            proxy.cut()
            refused = httpx.post(f"{node.url}/instances", content=make_file(), timeout=60, trust_env=False)
            # Then the sender is told to come again, and the node says why it takes nobody
            assert refused.status_code == 503
            assert readiness().status_code == 503
            assert f"bucket orthanc at {options['Endpoint']}" in readiness().text
            with pytest.raises(AssociationRejected):
                Association.request(
                    "127.0.0.1",
                    node.dicom_port,
                    called_aet="ORTHANC",
                    calling_aet="SENDER",
                    contexts=[("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])],
                    timeout_seconds=10,
                )
            # When it is back, then so is the node
            proxy.refuse(False)
            assert wait_until(lambda: readiness().status_code == 200, 30)
            found = httpx.get(f"{node.url}/instances/{stored}/file", trust_env=False)
            assert found.content == file
            assert httpx.post(f"{node.url}/instances", content=make_file(), trust_env=False).status_code == 200


def test_what_is_lost_on_the_way_is_sent_again(open_, s3):
    root = uuid.uuid4().hex
    with Proxy("127.0.0.1", s3.port) as proxy:
        intake = open_(RootPath=root, Endpoint=f"http://127.0.0.1:{proxy.port}")
        for pixels in (100, 20 << 20):  # the larger one in parts
            proxy.lose(b"PUT ")
            proxy.swallow_answer_after(b"PUT ")
            file = make_file(SOPInstanceUID=f"2.25.{pixels}", PixelData=bytes(pixels))
            assert send(intake, file).status == "Success"
            assert proxy.faults_left == 0
    assert len(keys_of(s3, root)) == 2


def test_a_request_without_an_answer_is_given_up_and_sent_again(open_, s3):
    with Proxy("127.0.0.1", s3.port) as proxy:
        intake = open_(RootPath=uuid.uuid4().hex, Endpoint=f"http://127.0.0.1:{proxy.port}", RequestTimeout=1)
        assert send(intake, make_file(SOPInstanceUID="2.25.1")).status == "Success"
        proxy.swallow()
        started = time.monotonic()
        assert send(intake, make_file(SOPInstanceUID="2.25.2")).status == "Success"
        assert 1 <= time.monotonic() - started < 15


def test_a_node_without_its_bucket_starts_and_is_not_ready(database_uri, storage_directory, s3):
    options = s3.options | {"Endpoint": "http://127.0.0.1:1", "ConnectionTimeout": 1}
    with closing(open_intake(settings_for(database_uri, storage_directory, AwsS3Storage=options))) as intake:
        assert "not been reached" in intake.storage.health.reason
        intake.storage.probe()
        assert "127.0.0.1:1" in intake.storage.health.reason


def test_small_ones_of_a_batch_are_uploaded_side_by_side(open_, monkeypatch):
    # Given a bucket that answers each upload only when eight are under way
    import threading

    intake = open_()
    together = threading.Barrier(8, timeout=20)
    put = intake.storage.bucket.put

    def put_together(key, content):
        together.wait()
        put(key, content)

    monkeypatch.setattr(intake.storage.bucket, "put", put_together)
    staged = []
    for _ in range(16):
        with intake.receive(ORIGIN) as reception:
            reception.write(make_file())
            staged.append(reception.stage())
    assert [outcome.status for outcome in intake.store_all(staged)] == ["Success"] * 16
