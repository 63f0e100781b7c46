"""Instances from three independent SCUs arrive byte for byte."""

import subprocess
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom import AE

from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.peer import CT, EXPLICIT, IMPLICIT, VERIFICATION, Peer, association_request, data, value
from workers.storescp import StoreScp
from workers.storescu import Association, AssociationRejected, NotNegotiated
from workers.upper_layer.command_set import decode, echo_request
from workers.upper_layer.pdu import A_ASSOCIATE_AC

SAMPLES = ("CT_small.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm", "image_dfl.dcm", "rtplan.dcm", "reportsi.dcm")


def sample(name: str) -> Path:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    return Path(path)


def associate(scp: StoreScp, **changes: object) -> Association:
    arguments: dict[str, object] = {
        "called_aet": "ORTHANC",
        "calling_aet": "SENDER",
        "contexts": [(CT, [EXPLICIT]), (VERIFICATION, [IMPLICIT])],
        "timeout_seconds": 10,
    }
    return Association.request("127.0.0.1", scp.port, **(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [2, 30_000, 131_064, 131_066, 500_000, 5_000_000])
@pytest.mark.parametrize("maximum_pdu_length", [4096, 131072])
def test_our_own_scu(start_scp: StartScp, collector: Collector, size: int, maximum_pdu_length: int) -> None:
    scp = start_scp(maximum_pdu_length=maximum_pdu_length)
    data_set = bytes(i * 7 % 256 for i in range(256)) * (size // 256 + 1)

    with associate(scp) as association:
        assert association.store(CT, "1.2.3", EXPLICIT, data_set[:size]) == 0
        assert association.echo() == 0
        assert association.store(CT, "1.2.4", EXPLICIT, b"") == 0

    instance, empty = collector.instances
    assert empty.sop_instance_uid == "1.2.4"
    assert bytes(instance.content[-size:]) == data_set[:size]
    assert instance.content[128:132] == b"DICM"
    meta = pydicom.dcmread(BytesIO(instance.content[:-size]), stop_before_pixels=True).file_meta
    assert (meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID) == (EXPLICIT, CT)
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert (instance.sop_class_uid, instance.sop_instance_uid) == (CT, "1.2.3")
    origin = instance.origin
    assert (origin.protocol, origin.remote_aet, origin.called_aet) == ("DicomProtocol", "SENDER", "ORTHANC")
    assert (origin.remote_ip, origin.http_username) == ("127.0.0.1", None)


def test_context_that_was_not_accepted(scp: StoreScp) -> None:
    with associate(scp, contexts=[(CT, [EXPLICIT]), ("1.2.3.4", [EXPLICIT])]) as association:
        assert association.accepted == {(CT, EXPLICIT)}
        with pytest.raises(NotNegotiated):
            association.store("1.2.3.4", "1.2.3", EXPLICIT, b"ab")
        with pytest.raises(NotNegotiated):
            association.store(CT, "1.2.3", IMPLICIT, b"ab")
        assert association.store(CT, "1.2.3", EXPLICIT, b"ab") == 0


def test_nobody_listens(port: int) -> None:
    with pytest.raises(Exception, match=f"cannot connect to 127.0.0.1 port {port}"):
        Association.request("127.0.0.1", port, called_aet="A", calling_aet="B", contexts=[(CT, [EXPLICIT])])


def test_pynetdicom_as_scu(scp: StoreScp, collector: Collector) -> None:
    files = [pydicom.dcmread(sample(name)) for name in SAMPLES]
    ae = AE("PYNETDICOM")
    for file in files:
        ae.add_requested_context(file.SOPClassUID, file.file_meta.TransferSyntaxUID)
    ae.add_requested_context(VERIFICATION)

    association = ae.associate("127.0.0.1", scp.port, ae_title="ORTHANC")

    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert [association.send_c_store(file).Status for file in files] == [0] * len(files)
    association.release()
    assert [pydicom.dcmread(BytesIO(instance.content)) for instance in collector.instances] == files


def test_small_pdus_of_the_peer_are_respected(scp: StoreScp) -> None:
    with Peer(scp.port) as peer:
        peer.send(association_request(maximum_length=64))
        answer = peer.reply()
        assert answer[0] == A_ASSOCIATE_AC
        peer.send(data(value(echo_request(1), 3, context_id=3)))
        pieces = [peer.reply(), peer.reply()]
        assert [len(piece) - 6 <= 64 for piece in pieces] == [True, True]
        assert decode(b"".join(piece[12:] for piece in pieces)).status == 0


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=60, check=False)


def test_dcmtk_echoscu(scp: StoreScp, dcmtk: Callable[[str], Path]) -> None:
    finished = run(dcmtk("echoscu"), "-v", "127.0.0.1", scp.port)

    assert finished.returncode == 0
    assert "Received Echo Response (Success)" in finished.stderr


def test_dcmtk_storescu(scp: StoreScp, collector: Collector, dcmtk: Callable[[str], Path]) -> None:
    finished = run(dcmtk("storescu"), "-R", "127.0.0.1", scp.port, sample("CT_small.dcm"), sample("rtplan.dcm"))

    assert finished.returncode == 0, finished.stderr
    assert len(collector.instances) == 2
    stored, sent = pydicom.dcmread(BytesIO(collector.instances[0].content)), pydicom.dcmread(sample("CT_small.dcm"))
    # DCMTK writes the data set anew (group lengths, padding): the values are what counts.
    assert (stored.SOPInstanceUID, stored.PixelData) == (sent.SOPInstanceUID, sent.PixelData)


def test_dcmtk_storescu_with_large_and_small_pdus(
    scp: StoreScp, collector: Collector, dcmtk: Callable[[str], Path]
) -> None:
    for option in ("-pdu", "--max-send-pdu"):
        for length in (4096, 131072):
            assert run(dcmtk("storescu"), option, length, "127.0.0.1", scp.port, sample("rtplan.dcm")).returncode == 0

    assert len(collector.instances) == 4


def test_dcmtk_dcmsend(scp: StoreScp, collector: Collector, dcmtk: Callable[[str], Path]) -> None:
    finished = run(dcmtk("dcmsend"), "-v", "--no-uid-checks", "127.0.0.1", scp.port, *map(sample, SAMPLES))

    assert "with status SUCCESS  : 6" in finished.stderr, finished.stderr
    assert len(collector.instances) == 6


def test_dcmtk_sees_a_refusal(scp: StoreScp, collector: Collector, dcmtk: Callable[[str], Path]) -> None:
    collector.fail_committing = True

    finished = run(dcmtk("dcmsend"), "-v", "127.0.0.1", scp.port, sample("CT_small.dcm"))

    assert "Refused: OutOfResources" in finished.stderr, finished.stderr


def test_senders_with_nagle_on_do_not_wait_for_delayed_acks(
    scp: StoreScp, collector: Collector, dcmtk: Callable[[str], Path]
) -> None:
    """DCMTK leaves Nagle's algorithm on: 100 instances would take 4 s if our acknowledgements were delayed by 40 ms."""
    started = time.monotonic()
    finished = run(dcmtk("storescu"), "--repeat", 100, "127.0.0.1", scp.port, sample("CT_small.dcm"))

    assert finished.returncode == 0
    assert len(collector.instances) == 100
    assert time.monotonic() - started < 3


def test_rejection_is_told_to_the_caller(start_scp: StartScp) -> None:
    scp = start_scp(DicomCheckCalledAet=True)

    with pytest.raises(AssociationRejected, match="permanent, source 1, reason 7"):
        associate(scp, called_aet="OTHER")
    with associate(scp, called_aet="orthanc") as association:
        assert association.echo() == 0
