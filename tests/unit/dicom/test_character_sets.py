"""interop/tags.md, section 4, and the examples of PS3.5, Annexes H to K."""

import pytest

from cluster.dicom.character_sets import DEFAULT_ENCODINGS, character_set
from cluster.errors import ConfigurationError


def decoded(specific: bytes | None, value: bytes, vr: bytes = b"PN", default: str = "Latin1") -> str:
    return character_set(specific, default).decode(value, vr)


@pytest.mark.parametrize(
    ("specific", "value", "text"),
    [
        (None, b"\xc9RIC", "ÉRIC"),
        (b"", b"\xc9RIC", "ÉRIC"),
        (b"  ", b"\xc9RIC", "ÉRIC"),
        (b"ISO_IR 100", b"\xc9RIC", "ÉRIC"),
        (b"ISO_IR 192", "ÉRIC".encode(), "ÉRIC"),
        (b"ISO_IR 192 ", "ÉRIC".encode(), "ÉRIC"),
        (b"ISO_IR 192\0", "ÉRIC".encode(), "ÉRIC"),
        (b"iso_ir 192", "ÉRIC".encode(), "ÉRIC"),
        (b"ISO_IR_192", "ÉRIC".encode(), "ÉRIC"),
        (b"ISO_2022_IR_100", b"\xc9RIC", "ÉRIC"),
        (b"ISO_IR 6", b"\xc9RIC", "RIC"),
        (b"ISO 2022 IR 6", b"\xc9RIC", "RIC"),
        (b"ISO_IR 159", b"\xc9RIC", "RIC"),
        (b"ISO-IR 100", b"\xc9RIC", "RIC"),
        (b"ISO 2022_IR 100", b"\xc9RIC", "RIC"),
        (b"UTF-8", "ÉRIC".encode(), "RIC"),
        # Not UTF-8: a byte that starts nothing, continuations that are none, the end too early
        (b"ISO_IR 192", b"A\xffB", "AB"),
        (b"ISO_IR 192", b"A\x80B\xfcC", "ABC"),
        (b"ISO_IR 192", b"\xc9RIC", "IC"),
        (b"ISO_IR 192", b"A\xff\xc3B\xe2\x82C\xc9", "A"),
        (b"ISO_IR 192", b"\xe2\x82\xacA\xf0\x9f\xe9B\xc3\xa9\xe2\x82", "€ABé"),
        (b"ISO_IR 192", b"\xed\xa0\x80A\xe0\x80\x80B\xf4\x90\x80\x80C", "ABC"),
        (b"ISO_IR 6", b"A\tB\nC\x01D\x7fE", "AB\nCDE"),
        (b"ISO_IR 100", b"A\tB\nC\x01D", "A\tB\nC\x01D"),
        (b"ISO_IR 101", b"\xb3", "ł"),
        (b"ISO_IR 109", b"\xa6", "Ĥ"),
        (b"ISO_IR 110", b"\xa2", "ĸ"),
        (b"ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),  # noqa: RUF001
        (b"ISO_IR 127", b"\xe2", "ق"),
        (b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
        (b"ISO_IR 138", b"\xf9\xf8\xe5\xef", "שרון"),
        (b"ISO_IR 148", b"\xdd", "İ"),
        (b"ISO_IR 166", b"\xa1\x85", "ก"),
        (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
        (b"GBK", b"\xcd\xf5", "王"),
        (b"ISO 2022 IR 149", b"\xc8\xab", "홍"),
        (b"ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B^x", "山田^x"),
        (b"ISO 2022 IR 58", b"\xd5\xc5", "张"),
    ],
)
def test_one_value(specific: bytes | None, value: bytes, text: str) -> None:
    assert decoded(specific, value) == text


@pytest.mark.parametrize(
    ("specific", "value", "text"),
    [
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            b"ISO 2022 IR 6\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        (
            b"ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        (
            b"\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        # After a delimiter the first character set is in force again (PS3.5, 6.1.2.5.3).
        (b"ISO 2022 IR 100\\ISO 2022 IR 126", b"\x1b-F\xc4\xe9^\xe9", "Δι^é"),
        (b"ISO 2022 IR 100\\ISO 2022 IR 144", b"\xe9\x1b-L\xbb\xee\xda", "éЛюк"),
        # Escape sequences that designate nothing known disappear, what follows stays as it was.
        (b"ISO 2022 IR 100\\ISO 2022 IR 87", b"A\x1b!JB\xe9", "ABé"),
        (b"ISO 2022 IR 100\\ISO 2022 IR 87", b"\x0eA\x0fB\x1bnC", "ABC"),
        # ... and so do those of character sets that (0008,0005) does not name
        (b"ISO 2022 IR 100\\ISO 2022 IR 87", b"\x1b-F\xc4\xe9", "Äé"),
        (b"ISO 2022 IR 100\\ISO 2022 IR 126", b"\x1b$B;3", ";3"),
    ],
)
def test_code_extensions(specific: bytes, value: bytes, text: str) -> None:
    assert decoded(specific, value) == text


def test_escape_sequences_mean_nothing_without_code_extensions() -> None:
    assert decoded(b"ISO_IR 100", b"A\x1b$BB\x0e") == "A\x1b$BB\x0e"


def test_equals_sign_and_caret_are_delimiters_in_person_names_only() -> None:
    value = b"\x1b-F\xc4=\xe9"

    assert decoded(b"ISO 2022 IR 100\\ISO 2022 IR 126", value, b"PN") == "Δ=é"
    assert decoded(b"ISO 2022 IR 100\\ISO 2022 IR 126", value, b"LO") == "Δ=ι"  # noqa: RUF001


def test_shift_jis_backslash_separates_values_except_in_texts() -> None:
    # 0x95 0x5C is one character
    assert decoded(b"ISO_IR 13", b"\xb1\x95\\\xb2", b"LO") == "ｱ\\ｲ"
    assert decoded(b"ISO_IR 13", b"\xb1\x95\\\xb2", b"LT") == "ｱ表ｲ"


def test_jis_x_0201_is_not_quite_ascii() -> None:
    assert decoded(b"ISO_IR 13", b"A\\B~", b"LO") == "A\\B‾"
    assert decoded(b"ISO_IR 13", b"A\\B~", b"ST") == "A¥B‾"


@pytest.mark.parametrize("name", DEFAULT_ENCODINGS)
def test_every_default_encoding_decodes_ascii(name: str) -> None:
    assert decoded(None, b"Doe^John", default=name) == "Doe^John"


def test_default_encoding_is_used_only_where_the_file_names_none() -> None:
    assert decoded(None, b"\xbb", default="Cyrillic") == "Л"
    assert decoded(b"ISO_IR 100", b"\xbb", default="Cyrillic") == "»"
    assert decoded(None, b"\xcb", default="Windows1251") == "Л"


def test_unknown_default_encoding_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"^DefaultEncoding: 'latin-1'"):
        character_set(None, "latin-1")
