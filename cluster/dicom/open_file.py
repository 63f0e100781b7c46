"""A DICOM file that is looked into after it was stored: its tags as JSON, and single values as bytes.

Memory does not depend on the size of the file: values that are too long to be shown are never read, and a single value
is told as the place where it lies. A file that a real Orthanc took may be one that we would have refused, so everything
is checked again.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NoReturn, Self

from cluster.dicom.character_sets import character_set
from cluster.dicom.dataset_json import Json, JsonReader
from cluster.dicom.header import coding_of
from cluster.dicom.inflate import inflate
from cluster.dicom.main_tags import Tag
from cluster.dicom.nesting import (
    ITEM,
    ITEM_DELIMITATION,
    SEQUENCE_DELIMITATION,
    content_coding,
    end_of_container,
    is_container,
)
from cluster.dicom.part10 import DEFLATED_TRANSFER_SYNTAXES, META_GROUP_AT, read_file_meta_information
from cluster.dicom.stream import EXPLICIT_LITTLE, UNDEFINED_LENGTH, Coding, Header, Window, read_header, refuse_length
from cluster.dicom.tag_names import hexadecimal, parse_tag
from cluster.errors import UnknownResource

_SPECIFIC_CHARACTER_SET = 0x00080005
_MAXIMUM_CHARACTER_SET_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Scope:
    """Elements from a position on, to a delimiter or the end."""

    position: int
    end: int
    coding: Coding


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value lies in `DicomFile.stream`."""

    offset: int
    length: int


class DicomFile:
    """Context manager around a seekable stream of `size` bytes, which is closed with it."""

    def __init__(self, stream: BinaryIO, size: int, default_encoding: str = "Latin1") -> None:
        """Raises NotDicom and TruncatedDicom."""
        self.stream = stream
        """What `Span` points into: the file, or its inflated data set."""
        self._opened = [stream]
        self._default_encoding = default_encoding
        try:
            self._meta = Window(stream, size)
            self.transfer_syntax_uid, start = read_file_meta_information(self._meta)
            if self.transfer_syntax_uid in DEFLATED_TRANSFER_SYNTAXES:
                self.stream, size = inflate(stream, start, size)
                self._opened.append(self.stream)
                start = 0
            self._window = Window(self.stream, size)
        except BaseException:
            self.close()
            raise
        self._scope = Scope(start, size, coding_of(self.transfer_syntax_uid))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the stream, and the inflated data set if there is one."""
        for stream in self._opened:
            stream.close()

    def tags(self, ignore_length: Collection[Tag] = ()) -> Json:
        """All elements of the data set up to the pixel data; see `dataset_json`."""
        ignored = frozenset(group << 16 | element for group, element in ignore_length)
        characters = character_set(self._specific_character_set(), self._default_encoding)
        reader = JsonReader(self._window, characters, ignored)
        return reader.data_set(self._scope.position, self._scope.coding)

    def header(self) -> Json:
        """The file meta information, in the same form; without what is binary, as Orthanc shows it."""
        reader = JsonReader(self._meta, character_set(None, "Ascii"))
        elements = reader.data_set(META_GROUP_AT, EXPLICIT_LITTLE, group=0x0002)
        return {number: element for number, element in elements.items() if element["Type"] != "Null"}

    def content(self, path: Sequence[str]) -> list[str] | Span:
        """What lies at a path of tags and numbers of items: names of what is there, or a value.

        Raises:
            UnknownResource: nothing is there.
        """
        scope, names = self._scope, list(path)
        while names:
            header = self._find(scope, names.pop(0))
            inner = content_coding(header, scope.coding) if is_container(header, scope.coding) else None
            if not is_container(header, scope.coding):
                return _value(header, names)
            parts: Iterator[Scope | Span] = (
                self._items(header, scope.end, inner) if inner else self._fragments(header, scope.end)
            )
            if not names:
                return [str(number) for number, _ in enumerate(parts)]
            part = _numbered(parts, names.pop(0))
            if isinstance(part, Span):
                return part if not names else _nothing(names[0])
            scope = part
        return [hexadecimal((tag >> 16, tag & 0xFFFF), "-") for tag, _ in self._elements(scope)]

    def _specific_character_set(self) -> bytes | None:
        for tag, header in self._elements(self._scope):
            if tag >= _SPECIFIC_CHARACTER_SET:
                found = tag == _SPECIFIC_CHARACTER_SET and header.length <= _MAXIMUM_CHARACTER_SET_BYTES
                return self._window.take(header.value_at, header.length) if found else None
        return None

    def _find(self, scope: Scope, name: str) -> Header:
        wanted = parse_tag(name)
        for tag, header in self._elements(scope):
            if wanted == (tag >> 16, tag & 0xFFFF):
                return header
        return _nothing(name)

    def _elements(self, scope: Scope) -> Iterator[tuple[int, Header]]:
        position = scope.position
        while position < scope.end:
            header = read_header(self._window, position, scope.coding, scope.end)
            if header.tag == ITEM_DELIMITATION:
                return
            yield header.tag, header
            position = self._behind(header, scope)

    def _behind(self, header: Header, scope: Scope) -> int:
        if is_container(header, scope.coding):
            return end_of_container(self._window, header, scope.coding, scope.end)
        return _end(header, scope.end)

    def _items(self, header: Header, end: int, coding: Coding) -> Iterator[Scope]:
        """The items of a sequence; where one ends is looked for only when the next is asked for."""
        position, end = header.value_at, _end(header, end)
        while position < end:
            item = read_header(self._window, position, coding, end)
            if item.tag == SEQUENCE_DELIMITATION:
                return
            scope = Scope(item.value_at, _end(item, end), coding)
            yield scope
            position = scope.end
            if item.length == UNDEFINED_LENGTH:
                position = item.value_at
                for _, element in self._elements(scope):
                    position = self._behind(element, scope)
                position += 8  # the delimiter

    def _fragments(self, header: Header, end: int) -> Iterator[Span]:
        """Fragments of encapsulated pixel data, the offset table first (PS3.5 A.4)."""
        position = header.value_at
        while position < end:
            fragment = read_header(self._window, position, EXPLICIT_LITTLE, end)
            if fragment.tag != ITEM:
                return
            yield Span(fragment.value_at, fragment.length)
            position = _end(fragment, end)


def _end(header: Header, end: int) -> int:
    """Offset behind a value; that of what encloses it if its length is undefined."""
    if header.length == UNDEFINED_LENGTH:
        return end
    following = header.value_at + header.length
    if following > end:
        refuse_length(header.tag, header.value_at, header.length, end - header.value_at)
    return following


def _value(header: Header, names: Sequence[str]) -> Span:
    if names:
        _nothing(names[0])
    return Span(header.value_at, header.length)


def _numbered(parts: Iterator[Scope | Span], name: str) -> Scope | Span:
    if name.isdecimal() and name.isascii() and len(name) < 10:
        for number, part in enumerate(parts):
            if number == int(name):
                return part
    return _nothing(name)


def _nothing(name: str) -> NoReturn:
    raise UnknownResource(f"nothing is at {name!r}")
