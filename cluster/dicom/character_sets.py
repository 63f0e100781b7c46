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
_ESCAPED_ONLY = frozenset({"iso2022_jp_2", "euc_kr", "gb2312"})

# What follows an escape sequence, until the next one. Two-byte sets in G0 keep theirs: Python's codec wants it.
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

# PS3.5 6.1.2.5.3: after these the character set of the first value is in force again.
_DELIMITER = re.compile(rb"[\\\t\n\f\r]")
_PERSON_NAME_DELIMITER = re.compile(rb"[\\^=\t\n\f\r]")

_NOT_ASCII_TEXT = bytes([*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0x100)])
_TEXT_VRS = frozenset({b"ST", b"LT", b"UT"})


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """How the bytes of a data set's strings become text."""

    codec: str
    code_extensions: bool

    def decode(self, value: bytes, vr: bytes = b"LO") -> str:
        """Text of a string value; never raises.

        `vr` matters where a backslash is, or is not, a separator, and for the components of person names.
        """
        if self.code_extensions and b"\x1b" in value:
            return self._decode_escaped(value, vr)
        return self._decode_plain(value, vr)

    def _decode_plain(self, value: bytes, vr: bytes) -> str:
        if self.codec == "ascii":
            return value.translate(None, _NOT_ASCII_TEXT).decode("ascii")
        if self.codec == "shift_jis" and b"\\" in value and vr not in _TEXT_VRS:
            # 0x5C separates values even where it could be the second byte of a character (interop/tags.md).
            return "\\".join(part.decode("shift_jis", "ignore") for part in value.split(b"\\"))
        return value.decode(self.codec, "ignore")

    def _decode_escaped(self, value: bytes, vr: bytes) -> str:
        delimiter = _PERSON_NAME_DELIMITER if vr == b"PN" else _DELIMITER
        first, *rest = _ESCAPE_SEQUENCE.split(value)
        text = [self._decode_plain(first, vr)]
        for escape, segment in zip(rest[::2], rest[1::2], strict=True):
            if escape in _TWO_BYTE_G0_SETS:
                text.append((escape + segment).decode("iso2022_jp_2", "ignore"))
                continue
            found = delimiter.search(segment)
            end = found.start() if found else len(segment)
            codec = _G1_SETS.get(escape)
            if codec is None:
                end = 0
            else:
                text.append(segment[:end].decode(codec, "ignore"))
            text.append(self._decode_plain(segment[end:], vr))
        return "".join(text)


@lru_cache(maxsize=256)
def character_set(specific: bytes | None, default_encoding: str) -> CharacterSet:
    """Character set of a data set whose (0008,0005) has the value `specific`, None if it has none.

    Raises ConfigurationError if `default_encoding` is no value of the option DefaultEncoding.
    """
    values = (specific or b"").split(b"\0", 1)[0].decode("latin-1").split("\\")
    term = next((value.strip().upper() for value in values if value.strip()), None)
    if term is None:
        if default_encoding not in DEFAULT_ENCODINGS:
            raise ConfigurationError(
                "DefaultEncoding", f"{default_encoding!r} is none of {', '.join(DEFAULT_ENCODINGS)}"
            )
        codec = DEFAULT_ENCODINGS[default_encoding]
    else:
        corrected = re.sub(r"^ISO_(2022_)?IR_", lambda match: "ISO 2022 IR " if match[1] else "ISO_IR ", term)
        codec = _TERMS.get(corrected, "ascii")
    return CharacterSet(codec, code_extensions=len(values) > 1 or codec in _ESCAPED_ONLY)
