"""What a walk finds, and in which order."""

import os
import socket
import subprocess
import zipfile
from pathlib import Path

import pytest

from cluster.bulk.entries import ImportFile, Refusal
from cluster.bulk.files import walk, why_unusable


def names(*paths: Path) -> list[str]:
    return [os.path.basename(item[0].path) for item in walk(paths) if isinstance(item, tuple)]


def test_files_come_in_the_order_of_their_names_with_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, content in (("c", b"333"), ("b/2", b"22"), ("b/1", b"1"), ("a", b"")):
        (tmp_path / name).write_bytes(content)

    found = [(os.path.relpath(item[0].path, tmp_path), item[1]) for item in walk([tmp_path])]

    assert found == [("a", 0), ("b/1", 1), ("b/2", 2), ("c", 3)]


def test_a_loop_of_symbolic_links_ends_and_a_folder_counts_once(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "file").touch()
    (real / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(real)

    assert names(tmp_path, real) == ["file"]


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    (tmp_path / "round").symlink_to(tmp_path / "round")

    refusals = list(walk([tmp_path]))

    assert [(item.outcome, item.reason) for item in refusals if isinstance(item, Refusal)] == [
        ("failed", "symbolic link that leads nowhere")
    ] * 2


def test_pipes_and_sockets_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the path of a unix socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")

        refusals = list(walk([tmp_path]))

    assert [(item.outcome, item.reason) for item in refusals if isinstance(item, Refusal)] == [
        ("not_dicom", "not a regular file")
    ] * 2


def test_a_tree_deeper_than_calls_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("deep").touch()
    os.chdir(tmp_path)
    try:
        assert names(tmp_path) == ["deep"]
    finally:
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # shutil.rmtree is recursive


def test_names_that_are_not_utf8_survive_json(tmp_path: Path) -> None:
    name = os.fsdecode("Jürgen.dcm".encode("latin-1"))
    (tmp_path / name).touch()

    ((file, _),) = [item for item in walk([tmp_path]) if isinstance(item, tuple)]

    assert file == ImportFile(str(tmp_path / name))
    assert ImportFile.from_json(file.to_json()) == file
    assert "\udcfc" not in repr(file.to_json())


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No such file or directory"), ("pipe", "neither a file nor a folder"), ("file/below", "Not a dir")],
)
def test_unusable_paths_say_why(tmp_path: Path, name: str, reason: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()

    assert reason in (why_unusable(tmp_path / name) or "")


def test_files_folders_and_archives_are_usable(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    assert why_unusable(tmp_path) is None
    assert why_unusable(tmp_path / "a.zip") is None
