"""What people really send, through both doors of a real node: a clear answer, nothing left behind, still serving."""

import re
import socket
import struct
import subprocess
import threading
from pathlib import Path

import httpx
import psycopg
import pytest

from cluster.dicom import status
from tests.integration.http import test_hostile_files
from tests.integration.storescp import peer as scripted
from tests.support.dicom import data_set, make_dataset, make_file
from tests.support.nodes import NodeProcess
from workers.storescu import Association, AssociationRejected

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
GIGABYTE = 1 << 30
BUDGET_MEGABYTES = 256
MAXIMUM_PDU_LENGTH = 65536


@pytest.fixture(scope="module")
def archive(tmp_path_factory, postgresql, schema_template):
    from tests.support.servers import new_database

    folder = tmp_path_factory.mktemp("node")
    storage = folder / "storage"
    storage.mkdir()
    with new_database(postgresql, schema_template) as name:
        options = {"DicomCheckCalledAet": True, "DicomAet": "ARCHIVE", "DicomScpTimeout": 5}
        options |= {"MaximumPduLength": MAXIMUM_PDU_LENGTH}
        node = NodeProcess(
            "node",
            folder,
            postgresql.uri(name),
            storage,
            cluster={"MemoryBudgetMegabytes": BUDGET_MEGABYTES},
            **options,
        )
        with node:
            yield node, storage, postgresql.uri(name)


@pytest.fixture
def node(archive):
    """The node; afterwards rows and files must agree and the node must still take an instance in."""
    node, storage, uri = archive
    yield node
    assert upload(node, make_file()).json()["Status"] == "Success"
    with psycopg.connect(uri) as connection:
        rows = {uuid for (uuid,) in connection.execute("SELECT uuid FROM AttachedFiles")}
    assert {path.name for path in storage.rglob("*") if path.is_file()} == rows


def upload(node, body):
    return httpx.post(f"{node.url}/instances", content=body, timeout=120)


def associate(node, called_aet="ARCHIVE"):
    return Association.request(
        "127.0.0.1", node.dicom_port, called_aet=called_aet, calling_aet="SENDER", contexts=[(CT, [EXPLICIT])]
    )


NO_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
BAD_FILES = {
    "empty": (b"", "empty|preamble"),
    "text": (b"Dear Sir or Madam,\n" * 50, "DICM"),
    "truncated pixel data": (make_file()[:-10], re.escape("(7FE0,0010)")),
    "truncated header": (make_file()[:300], "claims|ends"),
    "no StudyInstanceUID": (make_file(StudyInstanceUID=None), "StudyInstanceUID"),
    "empty SOPInstanceUID": (make_file(SOPInstanceUID=""), "SOPInstanceUID"),
    "PatientID too long": (make_file(PatientID="X" * 300), "PatientID"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_upload_is_told_what_is_wrong(node, name):
    body, reason = BAD_FILES[name]
    answer = upload(node, body)
    assert answer.status_code == 400
    error = answer.json()
    assert error["HttpStatus"] == 400
    assert error["Uri"] == "/instances"
    assert re.search(reason, error.get("Details", "") + error["Message"]), error


@pytest.mark.parametrize(
    ("keywords", "cut", "expected"),
    [
        ({}, 10, status.CANNOT_UNDERSTAND),
        ({"StudyInstanceUID": None}, 0, status.OUT_OF_RESOURCES),
        ({"SeriesInstanceUID": ""}, 0, status.OUT_OF_RESOURCES),
        ({"SOPInstanceUID": "2.25.1234"}, 0, status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
    ],
)
def test_bad_c_store_gets_its_status_and_the_association_goes_on(node, keywords, cut, expected):
    file = make_file(**{"SOPInstanceUID": "2.25.42", **keywords})
    with associate(node) as association:
        bad = data_set(file)
        assert association.store(CT, "2.25.42", EXPLICIT, bad[: len(bad) - cut]) == expected
        good = make_dataset().SOPInstanceUID
        answer = association.store(CT, good, EXPLICIT, data_set(make_file(SOPInstanceUID=good)))
        assert answer == status.SUCCESS


def test_text_as_data_set(node):
    with associate(node) as association:
        assert association.store(CT, "2.25.43", EXPLICIT, b"no data set at all " * 20) == status.CANNOT_UNDERSTAND


def test_a_deflated_bomb_is_refused_in_bounded_memory(node):
    contexts = [(CT, [test_hostile_files.DEFLATED])]
    bomb = data_set(test_hostile_files.deflated_bomb())
    with Association.request(
        "127.0.0.1", node.dicom_port, called_aet="ARCHIVE", calling_aet="SENDER", contexts=contexts
    ) as association:
        answer = association.store(CT, "2.25.45", test_hostile_files.DEFLATED, bomb)
    assert answer == status.CANNOT_UNDERSTAND
    assert peak_memory(node.process.pid) < BUDGET_MEGABYTES << 20


def test_wrong_called_ae_title_is_rejected(node):
    with pytest.raises(AssociationRejected) as raised:
        associate(node, "ELSEWHERE")
    rejection = raised.value
    assert (rejection.transient, rejection.source, rejection.reason) == (False, 1, 7)
    associate(node, "archive").release()


A_ASSOCIATE_AC, A_ABORT = b"\x02", b"\x07"


@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BxI", 4, 0xFFFFFFFF) + b"x" * 100,
        struct.pack(">BxIIBB", 4, 6, 4711, 1, 3),
        struct.pack(">BxI", 99, 4) + bytes(4),
    ],
    ids=["longer than announced", "PDV longer than its PDU", "unknown type"],
)
def test_malformed_pdu_is_aborted(node, pdu):
    with scripted.Peer(node.dicom_port) as peer:
        peer.send(scripted.association_request("ARCHIVE"))
        answer = peer.reply()
        assert answer[:1] == A_ASSOCIATE_AC
        assert struct.pack(">BxHI", 0x51, 4, MAXIMUM_PDU_LENGTH) in answer  # PS3.8 annex D.1.2
        peer.send(pdu)
        assert peer.reply()[:1] == A_ABORT


def test_association_request_of_four_gigabytes(node):
    with socket.create_connection(("127.0.0.1", node.dicom_port), timeout=10) as peer:
        peer.sendall(struct.pack(">BxI", 1, 0xFFFFFFFF) + b"x" * 100)
        assert peer.recv(10)[:1] == A_ABORT


def test_vanished_peer_in_the_middle_of_an_object(node):
    association = associate(node)
    sending = threading.Thread(
        target=lambda: _ignore(lambda: association.store(CT, "2.25.44", EXPLICIT, bytes(1 << 24)))
    )
    sending.start()
    association.abort()
    sending.join(10)
    assert not sending.is_alive()


def _ignore(work):
    try:
        work()
    except Exception as error:
        return error


class Gigabyte:
    """A CT of one gigabyte, made while it is sent."""

    def __init__(self):
        self.size = GIGABYTE // 2 * 2
        head = make_file(SOPInstanceUID="2.25.999", Rows=32768, Columns=16384, PixelData=bytes(2))
        # Explicit VR OW: the 4-byte length stands right before the value.
        self.head = head[:-6] + struct.pack("<I", self.size)

    def __iter__(self):
        yield self.head
        block = bytes(1 << 20)
        for _ in range(self.size >> 20):
            yield block


def peak_memory(pid: int) -> int:
    """VmHWM of a process, in bytes."""
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024


def test_one_gigabyte_on_a_node_with_a_quarter_of_that(archive):
    node, storage, uri = archive
    answer = upload(node, Gigabyte())
    assert answer.status_code == 200, answer.text
    assert answer.json()["Status"] == "Success"
    assert peak_memory(node.process.pid) < BUDGET_MEGABYTES << 20
    with psycopg.connect(uri) as connection:
        [(uuid, size)] = connection.execute(
            "SELECT a.uuid, a.uncompressedSize FROM AttachedFiles a JOIN Metadata m ON m.id = a.id"
            " WHERE m.type = 14 AND a.uncompressedSize > 1000000000"
        ).fetchall()
    path = storage / uuid[0:2] / uuid[2:4] / uuid
    assert path.stat().st_size == size == len(Gigabyte().head) + GIGABYTE
    # and back, in constant memory too
    received = 0
    with httpx.stream("GET", f"{node.url}/instances/{answer.json()['ID']}/file", timeout=120) as download:
        for piece in download.iter_bytes():
            received += len(piece)
    assert received == size
    assert peak_memory(node.process.pid) < BUDGET_MEGABYTES << 20


def test_a_large_attachment_in_constant_memory(archive):
    node = archive[0]
    path = f"{node.url}/instances/{upload(node, make_file()).json()['ID']}/attachments/1024"
    megabytes = BUDGET_MEGABYTES + 64
    answer = httpx.put(path, content=(bytes(1 << 20) for _ in range(megabytes)), timeout=120)
    assert answer.status_code == 200, answer.text
    assert httpx.get(f"{path}/size").text == str(megabytes << 20)
    assert peak_memory(node.process.pid) < BUDGET_MEGABYTES << 20


def test_one_gigabyte_by_c_store(archive, tmp_path):
    node = archive[0]
    big = Gigabyte()
    with associate(node) as association:
        answer = association.store(CT, "2.25.998", EXPLICIT, _sparse_data_set(big, tmp_path))
    assert answer == status.SUCCESS
    assert peak_memory(node.process.pid) < BUDGET_MEGABYTES << 20


def _sparse_data_set(big, folder):
    """The same as one bytes-like object that takes no memory here."""
    import mmap

    head = data_set(big.head.replace(b"2.25.999", b"2.25.998"))
    path = folder / "sparse"
    with path.open("w+b") as file:
        file.write(head)
        file.truncate(len(head) + big.size)
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def test_dcmtk_sends_broken_and_good_files(node, dcmtk, tmp_path):
    (tmp_path / "good.dcm").write_bytes(make_file())
    (tmp_path / "text.dcm").write_text("not DICOM")
    program = dcmtk("storescu")
    good = subprocess.run(
        [program, "-aec", "ARCHIVE", "127.0.0.1", str(node.dicom_port), tmp_path / "good.dcm"], capture_output=True
    )
    assert good.returncode == 0, good.stderr
    wrong = subprocess.run(
        [program, "-aec", "WRONG", "127.0.0.1", str(node.dicom_port), tmp_path / "good.dcm"], capture_output=True
    )
    assert wrong.returncode != 0
    assert b"Called AE Title Not Recognized" in wrong.stderr
