"""Whatever the size of a file: little memory, little time, and no decompression bomb."""

import io
import os
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.dicom import inflate
from cluster.dicom.header import read_part10
from cluster.errors import NotDicom, TruncatedDicom

from .build import DEFLATED, JPEG_BASELINE, SEQUENCE_END, data_set, element, implicit, part10, read

GIGABYTE = 1024**3
MEBIBYTE = 1024**2
PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF

GIGABYTE_ELEMENT = element(0x00091001, "OB", b"", length=GIGABYTE)


def sparse_file(path: Path, *parts: bytes | int) -> int:
    """Write the parts, numbers as holes of so many bytes; returns the size."""
    with path.open("wb") as file:
        for part in parts:
            if isinstance(part, int):
                file.seek(part, os.SEEK_CUR)
            else:
                file.write(part)
        file.truncate()
        return file.tell()


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_of(work: Callable[[], Any]) -> int:
    """Highest number of bytes allocated by Python while `work` runs."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


PIXELS = element(PIXEL_DATA, "OW", b"", length=GIGABYTE)
HEAD = part10(data_set())
ENCAPSULATED_HEAD = part10(data_set(), JPEG_BASELINE)
ITEM_WITH_GIGABYTE = implicit(0xFFFEE000, GIGABYTE_ELEMENT, length=UNDEFINED)


@pytest.mark.parametrize(
    ("parts", "pixel_data_at"),
    [
        ((HEAD, PIXELS, GIGABYTE), len(HEAD)),
        ((HEAD, GIGABYTE_ELEMENT, GIGABYTE, element(PIXEL_DATA, "OW", bytes(8))), len(HEAD) + 12 + GIGABYTE),
        (
            (
                ENCAPSULATED_HEAD,
                element(PIXEL_DATA, "OB", implicit(0xFFFEE000, b"", length=GIGABYTE), length=UNDEFINED),
                GIGABYTE,
                SEQUENCE_END,
            ),
            len(ENCAPSULATED_HEAD),
        ),
        (
            (
                HEAD,
                element(0x00081140, "SQ", ITEM_WITH_GIGABYTE, length=UNDEFINED),
                GIGABYTE,
                implicit(0xFFFEE00D, b"") + SEQUENCE_END,
            ),
            None,
        ),
        ((HEAD, element(0x00204000, "UT", b"", length=GIGABYTE), GIGABYTE), None),
        ((HEAD, element(0x00400275, "UN", b"", length=GIGABYTE), GIGABYTE), None),
    ],
    ids=["native", "pixel data at the end", "encapsulated", "nested", "main tag", "main sequence"],
)
def test_a_gigabyte(tmp_path: Path, parts: tuple[bytes | int, ...], pixel_data_at: int | None) -> None:
    path = tmp_path / "large.dcm"
    size = sparse_file(path, *parts)
    with path.open("rb") as stream:
        # Then it is read at once (the best of five counts, the machine may be busy)
        assert min(seconds(lambda: read_part10(stream, size)) for _ in range(5)) < 0.05

        # and in next to no memory
        assert peak_of(lambda: read_part10(stream, size)) < MEBIBYTE
        instance = read_part10(stream, size)
    assert instance.pixel_data_offset == pixel_data_at
    assert instance.patient_id == "ABC"


def test_stream_shorter_than_announced() -> None:
    file = part10(data_set())

    with pytest.raises(TruncatedDicom):
        read_part10(io.BytesIO(file), len(file) + 1000)


def deflated(body: bytes) -> bytes:
    compressor = zlib.compressobj(9, wbits=-15)
    return part10(compressor.compress(body) + compressor.flush(), DEFLATED)


def test_deflate_bomb_is_refused_in_bounded_memory() -> None:
    # Given 100 MB of zeros in 100 kB
    bomb = deflated(data_set(tail=element(PIXEL_DATA, "OB", bytes(100_000_000))))
    assert len(bomb) < 200_000

    def refused() -> None:
        with pytest.raises(NotDicom, match="inflates to more than"):
            read(bomb)

    assert peak_of(refused) < 4 * MEBIBYTE


def test_absolute_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a data set within the ratio
    file = deflated(data_set(tail=element(PIXEL_DATA, "OB", os.urandom(100_000))))
    read(file)

    # When it is above the absolute limit
    monkeypatch.setattr(inflate, "MAXIMUM_INFLATED_BYTES", 99_999)

    with pytest.raises(NotDicom, match="more than 99999 bytes"):
        read(file)


def test_deflated_data_set_larger_than_memory_allowance() -> None:
    file = deflated(data_set(tail=element(PIXEL_DATA, "OB", os.urandom(8 * MEBIBYTE))))

    assert peak_of(lambda: read(file)) < 4 * MEBIBYTE


def test_truncated_deflate_stream() -> None:
    file = deflated(data_set(tail=element(PIXEL_DATA, "OB", os.urandom(1000))))

    for size in (len(file) - 1, len(file) - 500, len(part10(b"", DEFLATED))):
        with pytest.raises(TruncatedDicom, match="deflated"):
            read(file[:size])


def test_what_is_not_deflated() -> None:
    with pytest.raises(NotDicom, match="deflated"):
        read(part10(data_set(), DEFLATED))
