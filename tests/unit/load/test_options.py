"""Options that make no sense are refused with their name; a door is found on this machine or asked for."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ConfigurationError
from tests.support.settings import settings_for
from workers.load.arguments import begin_of, find_settings, part_of
from workers.load.options import LoadOptions, parse_targets
from workers.load.targets import Target, parse_archive
from workers.local.registry import register, unregister


def test_targets_are_host_and_port() -> None:
    assert parse_targets("127.0.0.1:4242, pacs.example:104,[::1]:11112") == (
        Target("127.0.0.1", 4242),
        Target("pacs.example", 104),
        Target("::1", 11112),
    )
    assert str(Target("::1", 104)) == "[::1]:104"


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":104", "host:0", "host:65536", "host:x", "::1:104", "a:1,,b:2", "a:²"]
)
def test_bad_targets_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_targets(text)
    assert refused.value.path == "--target"


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--target", {"targets": ()}),
        ("--senders", {"senders": 0}),
        ("--instances", {"instances": 0}),
        ("--size", {"size": "huge"}),
        ("--same-study", {"shared_studies": True, "senders": 1}),
        ("--time-limit", {"time_limit_seconds": 0.0}),
        ("--ledger", {"ledger": Path(__file__)}),
        ("--archive", {"settings": None}),
        ("--part", {"part": 3, "parts": 2, "seed": 1}),
        ("--part", {"part": 1, "parts": 2}),
        ("--senders", {"part": 1, "parts": 8, "seed": 1}),
        ("--processes", {"processes": 0}),
        ("--scenario", {"queries_per_second": 1.0}),
        ("--scenario", {"deletes_per_second": 1.0, "archive": Target("dicom", 104)}),
    ],
)
def test_bad_options_are_refused_by_name(option: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        LoadOptions(**({"targets": (Target("a", 1),), "settings": settings_for()} | values))
    assert refused.value.path == option


def test_archives_are_asked_in_two_ways() -> None:
    assert parse_archive("http://pacs:8042/") == Target("pacs", 8042, "http://pacs:8042")
    assert parse_archive("dicom://pacs:104") == Target("pacs", 104)
    for text in ("pacs:104", "dicom://pacs", "stow+http://pacs", "ftp://pacs", "http://a:b@pacs"):
        with pytest.raises(ConfigurationError) as refused:
            parse_archive(text)
        assert refused.value.path == "--archive"


@pytest.mark.parametrize("text", ["2", "2/", "/4", "a/b", "-1/2"])
def test_bad_parts_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--part"):
        part_of(text)
    assert part_of("2/4") == (2, 4)


def test_a_beginning_is_a_time_to_come() -> None:
    assert begin_of("2999-01-31T14:00:00Z") == 32474786400.0
    for text in ("noon", "2000-01-01T00:00:00Z"):
        with pytest.raises(ConfigurationError, match="--begin-at"):
            begin_of(text)


def data_folder(folder: Path, name: str) -> Path:
    folder.mkdir()
    document = {"Name": name, "PostgreSQL": {"EnableIndex": True, "Host": "db"}}
    (folder / "orthanc.json").write_text(json.dumps(document), "utf-8")
    return folder


def test_settings_come_from_what_is_named(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data", "by folder")
    config = data_folder(tmp_path / "config", "by file") / "orthanc.json"

    assert find_settings((), data, (Target("nowhere", 1),)).name == "by folder"
    assert find_settings((config,), None, (Target("nowhere", 1),)).name == "by file"
    with pytest.raises(ConfigurationError, match="together"):
        find_settings((config,), data, ())
    with pytest.raises(ConfigurationError, match="not the data folder"):
        find_settings((), tmp_path, ())


def test_settings_come_from_the_running_cluster_behind_the_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a cluster that this process says it runs
    monkeypatch.setitem(os.environ, "HOME", str(tmp_path))
    data = data_folder(tmp_path / "data", "running")
    register(data, ["127.0.0.1:4243"])

    # Then its door leads to its configuration, and others do not
    assert find_settings((), None, (Target("elsewhere", 1), Target("127.0.0.1", 4243))).name == "running"
    with pytest.raises(ConfigurationError, match="give --config FILE, --data DIR"):
        find_settings((), None, (Target("127.0.0.1", 4242),))
    unregister(data)
    with pytest.raises(ConfigurationError):
        find_settings((), None, (Target("127.0.0.1", 4243),))
