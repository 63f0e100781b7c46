"""DICOMDIR: the directory of a medium, written record by record.

The records of a DICOMDIR point to each other by their offsets in the file (PS3.3 F.2.2). Each is written once, when its
instance comes by, and only its two offsets are mended later; so the memory that is taken is that of one record a level,
however many instances there are, if the stream is a file. `pydicom.fileset` would hold them all, and look through them
for each new one; what belongs into a record is its knowledge.

Instances must come sorted: all of a series, of a study and of a patient one after the other.
"""

import struct
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.fileset import DIRECTORY_RECORDERS, _four_level_record_type
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from cluster.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from cluster.errors import NotDicom

FILE_SET_ID = "ORTHANC_CLUSTER"

_LEVELS = ("PATIENT", "STUDY", "SERIES")

# What records are made of (PS3.3 F.5); whatever else is in a file is not read.
_KEYWORDS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientName",
    "PatientID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "StudyInstanceUID",
    "AccessionNumber",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "DoseSummationType",
    "StructureSetLabel",
    "StructureSetDate",
    "StructureSetTime",
    "RTPlanLabel",
    "RTPlanDate",
    "RTPlanTime",
    "TreatmentDate",
    "TreatmentTime",
    "PresentationCreationDate",
    "PresentationCreationTime",
    "ContentLabel",
    "ContentDescription",
    "ContentCreatorName",
    "ContentDate",
    "ContentTime",
    "CompletionFlag",
    "VerificationFlag",
    "VerificationDateTime",
    "ConceptNameCodeSequence",
    "ImageType",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "DataPointRows",
    "DataPointColumns",
    "DocumentTitle",
    "HL7InstanceIdentifier",
    "MIMETypeOfEncapsulatedDocument",
    "LabelText",
)

_EXTENDED = {
    "PATIENT": ("PatientBirthDate", "PatientSex"),
    "STUDY": ("ReferringPhysicianName",),
    "SERIES": ("SeriesDescription", "BodyPartExamined", "ProtocolName"),
    "LEAF": ("ImageType", "Rows", "Columns", "NumberOfFrames"),
}
"""What an extended DICOMDIR tells besides."""

# Of type 1 in a record and often missing in instances; the values that DCMTK's dcmmkdir invents for dates and times.
_INVENTED = {
    "PatientID": "UNKNOWN",
    "StudyDate": "19000101",
    "StudyTime": "000000",
    "StudyID": "UNKNOWN",
    "Modality": "OT",
    "SeriesNumber": "0",
    "InstanceNumber": "0",
}

_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
"""Root of the SOP classes of encapsulated documents (PS3.4 B.5)."""

_ITEM = b"\xfe\xff\x00\xe0"
_RECORDS = b"\x04\x00\x20\x12SQ\0\0\xff\xff\xff\xff"
_END_OF_RECORDS = b"\xfe\xff\xdd\xe0\0\0\0\0"
_OFFSET = struct.Struct("<I")
# Within an item, behind its own tag and length: (0004,1400), then (0004,1410) and (0004,1420).
_NEXT_AT = 16
_LOWER_AT = 38


@dataclass(slots=True)
class _Open:
    """The last record of a level: something may still follow it, or come below."""

    key: str
    at: int


class DirectoryWriter:
    """Writes a DICOMDIR to a seekable stream that is empty."""

    def __init__(self, stream: BinaryIO, *, extended: bool = False) -> None:
        self._stream = stream
        self._extended = extended
        self._open: list[_Open] = []
        self._root_last: int | None = None
        stream.write(_preamble())
        self._first_at = _element_at_end(stream, b"\x04\x00\x00\x12UL\x04\0")
        self._last_at = _element_at_end(stream, b"\x04\x00\x02\x12UL\x04\0")
        stream.write(b"\x04\x00\x12\x12US\x02\0\0\0" + _RECORDS)

    def add(self, keys: Sequence[str], file_id: Sequence[str], instance: BinaryIO) -> None:
        """One instance.

        Args:
            keys: what tells patient, study and series from their neighbours.
            file_id: path of the file on the medium.
            instance: the file, seekable, at its beginning.

        Raises:
            NotDicom: it cannot be read so far that a record could be made.
        """
        found = _read(instance)
        for depth, level in enumerate(_LEVELS):
            if len(self._open) > depth and self._open[depth].key == keys[depth]:
                continue
            self._append(depth, keys[depth], self._record(level, found, level))
        leaf = _leaf_type(found)
        record = self._record(leaf, found, "LEAF")
        record.ReferencedFileID = list(file_id)
        record.ReferencedSOPClassUIDInFile = found.get("SOPClassUID", "")
        record.ReferencedSOPInstanceUIDInFile = found.get("SOPInstanceUID", "")
        record.ReferencedTransferSyntaxUIDInFile = found.file_meta.TransferSyntaxUID
        self._append(len(_LEVELS), "/".join(file_id), record)

    def finish(self) -> int:
        """The end of the file; its size in bytes."""
        self._stream.seek(0, 2)
        self._stream.write(_END_OF_RECORDS)
        size = self._stream.tell()
        if self._root_last is not None:
            self._mend(self._last_at, self._root_last)
        return size

    def _append(self, depth: int, key: str, record: Dataset) -> None:
        encoded = _encoded(record)
        at = self._stream.seek(0, 2)
        self._stream.write(_ITEM + _OFFSET.pack(len(encoded)) + encoded)
        if len(self._open) > depth:
            self._mend(self._open[depth].at + _NEXT_AT, at)
        elif depth == 0:
            self._mend(self._first_at, at)
        else:
            self._mend(self._open[depth - 1].at + _LOWER_AT, at)
        del self._open[depth:]
        self._open.append(_Open(key, at))
        if depth == 0:
            self._root_last = at

    def _mend(self, position: int, offset: int) -> None:
        self._stream.seek(position)
        self._stream.write(_OFFSET.pack(offset))

    def _record(self, record_type: str, found: Dataset, extension: str) -> Dataset:
        try:
            record: Dataset = DIRECTORY_RECORDERS[record_type](found)
        except ValueError:  # an instance without what its IOD asks for
            record = Dataset()
            record.InstanceNumber = found.InstanceNumber
        record.OffsetOfTheNextDirectoryRecord = 0
        record.RecordInUseFlag = 0xFFFF
        record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
        record.DirectoryRecordType = record_type
        if "SpecificCharacterSet" in found:
            record.SpecificCharacterSet = found.SpecificCharacterSet
        for keyword in _EXTENDED[extension] if self._extended else ():
            if keyword in found:
                record[keyword] = found[keyword]
        return record


def _leaf_type(found: Dataset) -> str:
    # pydicom looks for the document itself, which is not read here.
    is_document = str(found.get("SOPClassUID", "")).startswith(_ENCAPSULATED)
    return "ENCAP DOC" if is_document else _four_level_record_type(found)


def _read(instance: BinaryIO) -> Dataset:
    """The elements that records are made of, with what is needed and missing; what cannot be read is missing too."""
    keywords = [*_KEYWORDS, *(keyword for more in _EXTENDED.values() for keyword in more)]
    try:
        file = dcmread(instance, stop_before_pixels=True, specific_tags=list(dict.fromkeys(keywords)))
        syntax = file.file_meta.TransferSyntaxUID
    except (InvalidDicomError, OSError, EOFError, AttributeError, ValueError, TypeError, struct.error) as error:
        raise NotDicom(f"no record of a DICOMDIR can be made: {error}") from error
    found = Dataset()
    for keyword in dict.fromkeys(keywords):
        element = _tried(lambda keyword=keyword: file.get_item(keyword) and file[keyword])  # type: ignore[misc]
        if element is not None and not element.is_empty:
            found[keyword] = element
    for keyword, value in _INVENTED.items():
        if keyword not in found:
            setattr(found, keyword, value)
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = syntax
    return found


def _encoded(record: Dataset) -> bytes:
    """In Explicit VR Little Endian; an element that cannot be written is left out."""
    character_set = record.get("SpecificCharacterSet", "iso8859")
    parts = []
    for tag in sorted(record.keys()):
        parts.append(_tried(lambda tag=tag: _encoded_element(record[tag], character_set)) or b"")  # type: ignore[misc]
    return b"".join(parts)


def _encoded_element(element: Any, character_set: Any) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_data_element(stream, element, convert_encodings(character_set))
    return stream.getvalue()


def _tried(work: Callable[[], Any]) -> Any:
    """None where a value is not what its VR says: pydicom raises errors of many kinds for that."""
    try:
        return work()
    except (ValueError, TypeError, AttributeError, KeyError, LookupError, OverflowError, struct.error):
        return None


def _preamble() -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = UID(f"2.25.{uuid.uuid4().int}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    stream.write(bytes(128) + b"DICM")
    write_file_meta_info(stream, meta, enforce_standard=True)
    file_set_id = FILE_SET_ID.encode().ljust(16)
    stream.write(b"\x04\x00\x30\x11CS" + struct.pack("<H", len(file_set_id)) + file_set_id)
    return stream.getvalue()


def _element_at_end(stream: BinaryIO, header: bytes) -> int:
    """Append an offset that is not known yet; where its value lies."""
    stream.write(header + bytes(4))
    return stream.tell() - 4
