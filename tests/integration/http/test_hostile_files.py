"""Files that claim to be more than they are; meanwhile others are stored."""

import gzip
import struct
import threading
import zlib
from pathlib import Path

import httpx
import pytest

from tests.integration.http.conftest import Door, eventually
from tests.support.dicom import make_file

DEFLATED = "1.2.840.10008.1.2.1.99"


def meta_of(file: bytes) -> bytes:
    """Preamble and file meta information."""
    return file[: 144 + struct.unpack_from("<I", file, 140)[0]]


def deflated_bomb() -> bytes:
    """A data set of 300 KB with a value of 300 MB."""
    plain = make_file()
    syntax = b"1.2.840.10008.1.2.1\0"
    assert syntax in meta_of(plain)
    longer = DEFLATED.encode()
    meta = meta_of(plain).replace(
        b"UI" + struct.pack("<H", len(syntax)) + syntax, b"UI" + struct.pack("<H", 22) + longer
    )
    meta = meta[:140] + struct.pack("<I", len(meta) - 144) + meta[144:]
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = 300 << 20
    body = compressor.compress(struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, size))
    for _ in range(size >> 20):
        body += compressor.compress(bytes(1 << 20))
    return meta + body + compressor.flush()


def element_of_four_gigabytes() -> bytes:
    return meta_of(make_file()) + struct.pack("<HH2sHI", 0x0008, 0x0005, b"UN", 0, 0xFFFFFFF0) + b"x" * 100


def nested_sequences(depth: int = 20_000) -> bytes:
    item = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return meta_of(make_file()) + item * depth


BOMBS = {
    "deflated": deflated_bomb,
    "element length": element_of_four_gigabytes,
    "nested sequences": nested_sequences,
}
REASONS = {"deflated": "inflates to more than", "element length": "claims", "nested sequences": "nested"}


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * 4096


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_bomb_is_refused_while_others_go_on(door: Door, name: str, zipped: bool) -> None:
    bomb = BOMBS[name]()
    assert len(bomb) < 2 << 20
    repetitions = 1 if name == "deflated" else 3
    before = resident_bytes()
    answers: list[httpx.Response] = []

    def send() -> None:
        for _ in range(repetitions):
            with httpx.Client(base_url=door.client.base_url, trust_env=False, timeout=60) as client:
                content = gzip.compress(bomb) if zipped else bomb
                encoding = {"Content-Encoding": "gzip"} if zipped else {}
                answers.append(client.post("/instances", content=content, headers=encoding))

    sender = threading.Thread(target=send)
    sender.start()
    stored = 0
    while sender.is_alive() or stored < 5:
        assert door.post(make_file()).json()["Status"] == "Success"
        stored += 1
        assert resident_bytes() - before < 200 << 20
    assert [answer.status_code for answer in answers] == [400] * repetitions
    assert REASONS[name] in answers[0].json()["Details"]
    eventually(lambda: len(door.files()) == stored)
