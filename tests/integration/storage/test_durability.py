"""Which flush is chosen, and what each reaches."""

import os
from pathlib import Path

import pytest

from cluster.errors import StorageFailed
from cluster.storage import durability
from cluster.storage.filesystem import FilesystemStorageArea


def test_file_systems_are_told_apart(tmp_path):
    assert durability.file_system_of(Path("/proc")) == "proc"
    assert durability.file_system_of(tmp_path) != ""


@pytest.mark.parametrize(
    ("file_system", "kernel", "kind"),
    [
        ("ext4", (6, 1), durability.SyncFileSystem),
        ("ext4", (5, 4), durability.SyncEachFile),
        ("nfs4", (6, 1), durability.SyncEachFile),
        ("", (0, 0), durability.SyncEachFile),
    ],
)
def test_one_flush_only_where_it_is_safe(tmp_path, monkeypatch, file_system, kernel, kind):
    monkeypatch.setattr(durability, "file_system_of", lambda path: file_system)
    monkeypatch.setattr(durability, "_kernel", lambda: kernel)
    assert type(durability.choose(tmp_path)) is kind


@pytest.fixture
def finished(tmp_path):
    area = FilesystemStorageArea(tmp_path / "storage")
    attachments = [area.create() for _ in range(3)]
    for attachment in attachments:
        attachment.write(b"x" * 1000)
        attachment.finish()
    return area, attachments


def test_each_file_and_each_folder_above_it_is_synced(finished, monkeypatch):
    area, attachments = finished
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
    area._sync = durability.SyncEachFile()
    area.make_durable(attachments)
    for attachment in attachments:
        path = area.path_of(attachment.uuid)
        places = [synced.index(str(place)) for place in (path, path.parents[0], path.parents[1], area.root)]
        assert places == sorted(places)


def test_one_flush_of_a_real_file_system(finished):
    area, attachments = finished
    area._sync = durability.SyncFileSystem(area.root)
    area.make_durable(attachments)


@pytest.mark.parametrize("kind", [durability.SyncFileSystem, durability.SyncEachFile])
def test_failure_to_flush_is_an_error(finished, kind):
    area, attachments = finished
    area._sync = kind(area.root) if kind is durability.SyncFileSystem else kind()
    for attachment in attachments:
        attachment.discard()
    area.root.rmdir()
    with pytest.raises(StorageFailed, match="storage"):
        area.make_durable(attachments)


def test_sync_can_be_left_to_the_operator(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: pytest.fail("synced"))
    area = FilesystemStorageArea(tmp_path, sync=False)
    attachment = area.create()
    attachment.write(b"x")
    attachment.finish()
    area.make_durable([attachment])
