"""Configuration files: syntax, several of them, variables in their text."""

import json
import socket
from pathlib import Path

import pytest

from cluster.config import load_settings
from cluster.config.files import configuration_files
from cluster.errors import ConfigurationError


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def refused(*paths: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(paths, environ or {})
    return str(caught.value)


def test_without_any_file_everything_has_its_default() -> None:
    settings = load_settings([], {})

    assert settings.files == ()
    assert (settings.name, settings.dicom.aet, settings.dicom.port, settings.http.port) == (
        "MyOrthanc",
        "ORTHANC",
        4242,
        8042,
    )
    assert settings.storage_directory == Path("OrthancStorage")
    assert settings.postgresql.index_connections_count == 4
    assert settings.postgresql.lock is False
    assert settings.cluster.redis_url.get_secret_value() == "redis://localhost:6379/0"
    assert settings.cluster.node_name == socket.gethostname()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"Name": "a"}', "a"),
        ('// first\n{"Name": /* why not */ "a" // last\n}', "a"),
        ('/* several\nlines */ {"Name": "a"}', "a"),
        ('{"Name": "http://a/*b*/"}', "http://a/*b*/"),
        ('{"Name": "a\\"// b"} // "c', 'a"// b'),
        ('{"Name": "a\\\\"} // "c', "a\\"),
        ('\ufeff{"Name": "Größe"}', "Größe"),
    ],
)
def test_comments_are_allowed_but_not_inside_text(tmp_path: Path, text: str, name: str) -> None:
    assert load_settings([write(tmp_path, "a.json", text)], {}).name == name


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", "line 1, column 1"),
        ('{"Name": "a"', "line 1, column 13"),
        ('{\n  "Name": "a"\n  "HttpPort": 1\n}', "line 3, column 3"),
        ('{\n  /* a\n  comment */ "Name": nothing\n}', "line 3, column 22"),
        ('{"Name": "a"} /* never closed', "line 1, column 15"),
        ('{"Name": "never closed\n}', "line 1, column 23"),
        ('{"Name": "a"} {}', "line 1, column 15"),
        # Positions are those of the file, whatever the length of the values that were put in.
        ('{"Name": "${LONG}", "HttpPort": }', "line 1, column 33"),
        ('{"Name": "${LINES}",\n "HttpPort": }', "line 2, column 14"),
        ('{"Name": "a", "HttpPort": ${WORD}}', "line 1, column 27"),
    ],
)
def test_a_syntax_error_names_file_line_and_column(tmp_path: Path, text: str, position: str) -> None:
    file = write(tmp_path, "a.json", text)
    environ = {"LONG": "x" * 100, "LINES": "\\n" * 10, "WORD": "yes"}

    assert refused(file, environ=environ).startswith(f"{file}: {position}: ")


@pytest.mark.parametrize("text", ["[]", "5", "null", '"text"'])
def test_a_file_must_hold_an_object(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, "a.json", text)

    assert refused(file) == f"{file}: must hold a JSON object"


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "9" * 5000, "[" * 100_000])
def test_what_is_no_json_after_all_is_refused(tmp_path: Path, value: str) -> None:
    file = write(tmp_path, "a.json", f'{{"Ignored": {value}}}')

    assert refused(file).startswith(f"{file}: not JSON")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'{"Name": "\xe9"}')

    assert refused(file) == f"{file}: is not UTF-8 text"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "absent.json"

    assert refused(file) == f"{file}: no such configuration file or folder"


def test_a_broken_link_in_a_folder_is_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "absent")

    assert refused(tmp_path).startswith(f"{tmp_path / 'a.json'}: cannot be read")


def test_a_folder_is_its_json_files_in_order_without_subfolders(tmp_path: Path) -> None:
    # Given
    second = write(tmp_path, "b.json", '{"HttpPort": 1000}')
    first = write(tmp_path, "a.json", '{"Name": "a"}')
    write(tmp_path, "a.json.bak", "not read")
    (tmp_path / "c.json").mkdir()
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "d.json", "not read")
    extra_folder = tmp_path / "sub" / "extra"
    extra_folder.mkdir()
    extra = write(extra_folder, "e.json", '{"DicomPort": 1001}')

    # When
    settings = load_settings([tmp_path, extra], {})

    # Then
    assert settings.files == (first, second, extra)
    assert (settings.name, settings.http.port, settings.dicom.port) == ("a", 1000, 1001)


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert configuration_files([tmp_path]) == ()


def test_the_same_key_in_two_files_is_an_error_that_names_both(tmp_path: Path) -> None:
    first = write(tmp_path, "a.json", '{"PostgreSQL": {"Host": "a"}}')
    second = write(tmp_path, "b.json", '{"PostgreSQL": {"Port": 1}}')

    assert refused(tmp_path) == f"PostgreSQL: given twice, in {first} and in {second}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("${NAME}", "value"),
        ("a${NAME}b${NAME}c", "avaluebvaluec"),
        ("${NAME:-other}", "value"),
        ("${UNSET}", ""),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${UNSET:-'with } inside'}", "with } inside"),
        ("${EMPTY:-other}", ""),
        ("${}", "${}"),
        ("$NAME {NAME}", "$NAME {NAME}"),
        ("${NAME:other}", "${NAME:other}"),
    ],
)
def test_variables_are_replaced_inside_text(tmp_path: Path, text: str, name: str) -> None:
    file = write(tmp_path, "a.json", f'{{"Name": "{text}"}}')

    assert load_settings([file], {"NAME": "value", "EMPTY": ""}).name == name


@pytest.mark.parametrize(
    ("value", "environ", "port"),
    [
        ("${PORT}", {"PORT": "1234"}, 1234),
        ("${PORT:-4321}", {}, 4321),
        ('${PORT:-"4321"}', {}, 4321),
        ("${PORT:-4321}", {"PORT": "1234"}, 1234),
    ],
)
def test_variables_are_replaced_outside_text(tmp_path: Path, value: str, environ: dict[str, str], port: int) -> None:
    file = write(tmp_path, "a.json", f'{{"HttpPort": {value}}}')

    assert load_settings([file], environ).http.port == port


def test_the_process_environment_is_used_if_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORTHANC__NAME", "from the process")

    assert load_settings([]).name == "from the process"


@pytest.mark.parametrize(
    ("directory", "expected"), [("db", "{folder}/db"), ("../db", "{folder}/../db"), ("/srv/db", "/srv/db")]
)
def test_a_relative_storage_directory_starts_at_the_first_path(tmp_path: Path, directory: str, expected: str) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = write(folder, "a.json", json.dumps({"StorageDirectory": directory}))
    other = write(tmp_path, "b.json", "{}")
    path = Path(expected.format(folder=folder))

    assert load_settings([file, other], {}).storage_directory == path
    assert load_settings([folder], {}).storage_directory == path


def test_the_default_storage_directory_is_relative_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.json", "{}")
    monkeypatch.chdir(tmp_path)

    assert load_settings([Path("a.json")], {}).storage_directory == tmp_path / "OrthancStorage"
