"""Specific Character Set (0008,0005) to text.

Which character set applies: interop/tags.md, section 4. Code extensions by escape sequences: PS3.5, section 6.1.2.5
and PS3.3, Tables C.12-3 and C.12-4. Bytes that a character set does not define are skipped, as Orthanc does; no
value is refused because of its characters.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from cluster.errors import ConfigurationError

DEFAULT_ENCODINGS: dict[str, str] = {
    "Ascii": "ascii",
    "Utf8": "utf-8",
    "Latin1": "latin-1",
    "Latin2": "iso8859-2",
    "Latin3": "iso8859-3",
    "Latin4": "iso8859-4",
    "Latin5": "iso8859-9",
    "Cyrillic": "iso8859-5",
    "Windows1251": "cp1251",
    "Arabic": "iso8859-6",
    "Greek": "iso8859-7",
    "Hebrew": "iso8859-8",
    "Thai": "tis-620",
    "Japanese": "shift_jis",
    "Chinese": "gb18030",
    "JapaneseKanji": "iso2022_jp_2",
    "Korean": "euc_kr",
    "SimplifiedChinese": "gb2312",
}
"""Values of the configuration option DefaultEncoding, with Python's names of the character sets."""

_SINGLE_BYTE = {
    6: "Ascii",
    13: "Japanese",
    100: "Latin1",
    101: "Latin2",
    109: "Latin3",
    110: "Latin4",
    126: "Greek",
    127: "Arabic",
    138: "Hebrew",
    144: "Cyrillic",
    148: "Latin5",
    166: "Thai",
}
_TERMS: dict[str, str] = {
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 87": "iso2022_jp_2",
    "ISO 2022 IR 58": "gb2312",
    **{f"ISO_IR {number}": DEFAULT_ENCODINGS[name] for number, name in _SINGLE_BYTE.items()},
    **{f"ISO 2022 IR {number}": DEFAULT_ENCODINGS[name] for number, name in _SINGLE_BYTE.items()},
}
_EXTENSION_TERMS = _TERMS | {"ISO 2022 IR 159": "iso2022_jp_2"}

# Single-byte and Korean and Chinese sets go to G1: escape sequence to codec. Two-byte sets in G0 keep their escape
# sequence, Python's codec wants it.
_G1_SETS = {
    b"\x1b-A": "latin-1",
    b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3",
    b"\x1b-D": "iso8859-4",
    b"\x1b-F": "iso8859-7",
    b"\x1b-G": "iso8859-6",
    b"\x1b-H": "iso8859-8",
    b"\x1b-L": "iso8859-5",
    b"\x1b-M": "iso8859-9",
    b"\x1b-T": "tis-620",
    b"\x1b)I": "shift_jis",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
}
_TWO_BYTE_G0_SETS = frozenset({b"\x1b$B", b"\x1b$@", b"\x1b$(D"})
_ESCAPE_SEQUENCE = re.compile(rb"(\x1b[\x20-\x2f]+[\x30-\x7e]|\x1b\$[@B])")
_SHIFTS = re.compile(r"[\x0e\x0f]|\x1b[NOno|}~]")

# PS3.5 6.1.2.5.3: after these the character set of the first value is in force again.
_DELIMITER = re.compile(rb"[\\\t\n\f\r]")
_PERSON_NAME_DELIMITER = re.compile(rb"[\\^=\t\n\f\r]")

_NOT_ASCII_TEXT = bytes([*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0x100)])
_TEXT_VRS = frozenset({b"ST", b"LT", b"UT"})


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """How the bytes of a data set's strings become text.

    `codec` is Python's name of the first character set, `extensions` those of all, empty without code extensions.
    """

    codec: str
    extensions: frozenset[str] = frozenset()

    def decode(self, value: bytes, vr: bytes = b"LO") -> str:
        """Text of a string value; never raises.

        `vr` matters where a backslash is, or is not, a separator, and for the components of person names.
        """
        if self.extensions:
            return _SHIFTS.sub("", self._decode_escaped(value, vr))
        return _decode(self.codec, value, vr)

    def _decode_escaped(self, value: bytes, vr: bytes) -> str:
        delimiter = _PERSON_NAME_DELIMITER if vr == b"PN" else _DELIMITER
        first, *rest = _ESCAPE_SEQUENCE.split(value)
        text = [_decode(self.codec, first, vr)]
        for escape, segment in zip(rest[::2], rest[1::2], strict=True):
            if escape in _TWO_BYTE_G0_SETS and "iso2022_jp_2" in self.extensions:
                text.append(_decode("iso2022_jp_2", escape + segment, vr))
                continue
            codec = _G1_SETS.get(escape, self.codec)
            found = delimiter.search(segment)
            end = found.start() if found else len(segment)
            text.append(_decode(codec if codec in self.extensions else self.codec, segment[:end], vr))
            text.append(_decode(self.codec, segment[end:], vr))
        return "".join(text)


def _decode(codec: str, value: bytes, vr: bytes) -> str:
    if codec == "ascii":
        return value.translate(None, _NOT_ASCII_TEXT).decode("ascii")
    if codec == "utf-8":
        return _decode_utf8(value)
    if codec == "shift_jis":
        return _decode_shift_jis(value, vr)
    if codec == "tis-620":
        # TIS-620 has nothing there; Python's codec has the controls of Latin-1.
        value = value.translate(None, bytes(range(0x80, 0xA1)))
    return value.decode(codec, "ignore")


def _decode_shift_jis(value: bytes, vr: bytes) -> str:
    """JIS X 0201 has a yen sign and an overline where ASCII has backslash and tilde.

    0x5C separates values even where it could be the second byte of a character, but not in texts (interop/tags.md).
    """
    if vr in _TEXT_VRS:
        text = value.decode("shift_jis", "ignore").replace("\\", "¥")
    else:
        text = "\\".join(part.decode("shift_jis", "ignore") for part in value.split(b"\\"))
    return text.replace("~", "‾")


def _decode_utf8(value: bytes) -> str:
    """Skip what is not UTF-8, and as much of it as Boost, and so Orthanc, skips.

    That is the first byte and those that were read as its continuation, with the one that turned out to be none:
    Latin-1 text labelled as UTF-8 loses the character after each accent.
    """
    text = []
    while True:
        try:
            text.append(value.decode())
        except UnicodeDecodeError as error:
            text.append(value[: error.start].decode())
            value = value[error.start :]
            lead = value[0]
            continuation = 0 if lead < 0xC2 or lead > 0xF4 else 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
            end = 1
            while end <= continuation and value[end : end + 1]:
                end += 1
                if not 0x80 <= value[end - 1] < 0xC0:
                    break
            value = value[end:]
        else:
            return "".join(text)


@lru_cache(maxsize=256)
def character_set(specific: bytes | None, default_encoding: str) -> CharacterSet:
    """Character set of a data set whose (0008,0005) has the value `specific`, None if it has none.

    Raises ConfigurationError if `default_encoding` is no value of the option DefaultEncoding.
    """
    values = (specific or b"").split(b"\0", 1)[0].decode("latin-1").split("\\")
    terms = [_MISSPELT.sub(_correct, value.strip().upper()) for value in values]
    first = next(filter(None, terms), None)
    if first is not None:
        codec = _TERMS.get(first, "ascii")
    elif default_encoding in DEFAULT_ENCODINGS:
        codec = DEFAULT_ENCODINGS[default_encoding]
    else:
        known = ", ".join(DEFAULT_ENCODINGS)
        raise ConfigurationError("DefaultEncoding", f"{default_encoding!r} is none of {known}")
    if len(terms) == 1:
        return CharacterSet(codec)
    return CharacterSet(
        codec, frozenset({codec} | {_EXTENSION_TERMS[term] for term in terms if term in _EXTENSION_TERMS})
    )


_MISSPELT = re.compile("^ISO_(2022_)?IR_")


def _correct(misspelt: re.Match[str]) -> str:
    return "ISO 2022 IR " if misspelt[1] else "ISO_IR "
