"""Options that make no sense are refused with their name; a door is found on this machine or asked for."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import ConfigurationError
from tests.support.settings import settings_for
from workers.load.command import find_settings
from workers.load.options import LoadOptions, parse_targets
from workers.load.sender import Target
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
    ],
)
def test_bad_options_are_refused_by_name(option: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        LoadOptions(**({"targets": (Target("a", 1),), "settings": settings_for()} | values))
    assert refused.value.path == option


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
