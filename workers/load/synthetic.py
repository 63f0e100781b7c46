"""Synthetic instances: data sets as modalities make them, at a price that leaves the machine to the cluster under load.

pydicom encodes the header of a series once, and it is cut open at the elements that differ between its instances; an
instance is then those few elements, encoded here, and one block of noise as pixel data.
"""

import struct
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from workers.load.header import series_header
from workers.load.instance import Pieces
from workers.load.studies import SyntheticStudy

TRANSFER_SYNTAXES = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))

_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sxxI")
_IMPLICIT = struct.Struct("<HHI")

_SOP_INSTANCE_UID = (0x0008, 0x0018, b"UI")
_INSTANCE_NUMBER = (0x0020, 0x0013, b"IS")
_IMAGE_POSITION_PATIENT = (0x0020, 0x0032, b"DS")
_SLICE_LOCATION = (0x0020, 0x1041, b"DS")
_PIXEL_DATA = (0x7FE0, 0x0010, b"OW")


@dataclass(frozen=True, slots=True)
class SyntheticInstance:
    """An instance ready to be sent; `data_set` has no Part 10 header."""

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    data_set: bytes

    @property
    def pieces(self) -> Pieces:
        """The data set, in one piece."""
        return (self.data_set,)

    def changed(self) -> "SyntheticInstance":
        """The same instance by its identifiers, whose last pixel is another."""
        return replace(self, data_set=self.data_set[:-2] + bytes((self.data_set[-2] ^ 1, self.data_set[-1])))


class SyntheticSeries:
    """Makes the instances of one series."""

    def __init__(self, study: SyntheticStudy, number: int) -> None:
        self._study = study
        self._number = number
        self._study_uid = study.uid()
        self._uid = study.uid(number)
        self._explicit = study.random("study", study.number).random() >= 0.15
        header = series_header(study, number)
        # Values that stand for those of an instance; the encoded header is cut where they are.
        header.SOPInstanceUID = study.uid(number, "placeholder")
        self._own = self._own_elements(header.SOPInstanceUID, 0)
        header.InstanceNumber = 1
        if study.kind.tomographic:
            header.ImagePositionPatient = _position(0)
            header.SliceLocation = _location(0)
        self._pieces = _cut(_encode(header, self._explicit), self._own)
        self._pixels = _noise(study.kind.rows * study.kind.columns)

    def instance(self, number: int) -> SyntheticInstance:
        """The instance of this number, from 0."""
        uid = self._study.uid(self._number, number)
        pieces: list[bytes | memoryview] = [self._pieces[0]]
        for own, piece in zip(self._own_elements(uid, number), self._pieces[1:], strict=True):
            pieces += [own, piece]
        # The first pixels spell the UID, so that no two instances have the same pixel data.
        stamp = _even(uid)
        pieces += [self._header_of(_PIXEL_DATA, len(self._pixels)), stamp, self._pixels[len(stamp) :]]
        return SyntheticInstance(
            patient_id=self._study.patient_id,
            study_instance_uid=self._study_uid,
            series_instance_uid=self._uid,
            sop_instance_uid=uid,
            sop_class_uid=self._study.kind.sop_class_uid,
            transfer_syntax_uid=TRANSFER_SYNTAXES[0 if self._explicit else 1],
            data_set=b"".join(pieces),
        )

    def _own_elements(self, uid: str, number: int) -> list[bytes]:
        """The elements that differ between instances, encoded, in the order of their tags."""
        values = [(_SOP_INSTANCE_UID, _even(uid, b"\0")), (_INSTANCE_NUMBER, _even(str(number + 1)))]
        if self._study.kind.tomographic:
            values.append((_IMAGE_POSITION_PATIENT, _even("\\".join(_position(number)))))
            values.append((_SLICE_LOCATION, _even(_location(number))))
        return [self._header_of(element, len(value)) + value for element, value in values]

    def _header_of(self, element: tuple[int, int, bytes], length: int) -> bytes:
        """Tag, VR and length of an element (PS3.5 section 7.1)."""
        group, number, vr = element
        if not self._explicit:
            return _IMPLICIT.pack(group, number, length)
        return (_LONG if vr == b"OW" else _SHORT).pack(group, number, vr, length)


def _location(number: int) -> str:
    return f"{-120 + 2.5 * number:.2f}"


def _position(number: int) -> list[str]:
    return ["-187.500", "-187.500", _location(number)]


def _even(text: str, padding: bytes = b" ") -> bytes:
    encoded = text.encode("ascii")
    return encoded + padding * (len(encoded) % 2)


@cache
def _noise(pixels: int) -> memoryview:
    """Little-endian 12-bit noise, the same in every process: it does not compress, and it is not what is tested."""
    size = 2 * pixels
    noise = int.from_bytes(Random(pixels).randbytes(size), "little")  # noqa: S311 (test data)
    return memoryview((noise & int.from_bytes(b"\xff\x0f" * pixels, "little")).to_bytes(size, "little"))


def _encode(header: Dataset, explicit: bool) -> bytes:
    target = DicomBytesIO()
    target.is_little_endian = True
    target.is_implicit_VR = not explicit
    write_dataset(target, header)
    return target.getvalue()


def _cut(encoded: bytes, elements: list[bytes]) -> list[bytes]:
    """What lies before, between and after `elements`, which `encoded` contains in this order."""
    pieces = []
    for element in elements:
        piece, found, encoded = encoded.partition(element)
        assert found, "pydicom encoded a placeholder in another way than this module"
        pieces.append(piece)
    return [*pieces, encoded]
