"""Section AwsS3Storage: what is accepted, and what would change how bytes are stored and is refused."""

from typing import Any

import pytest

from tests.unit.config.loading import from_json, refusal

BUCKET = {"BucketName": "archive"}


@pytest.mark.parametrize(
    "options",
    [
        {"EnableLegacyUnknownFiles": False},
        {"UseTransferManager": True},
        {"EnableAwsSdkLogs": True},
        {"MigrationFromFileSystemEnabled": False},
        {"StorageEncryption": {"Enable": False}},
        {"StorageEncryption": {}},
        {"HybridMode": "Disabled"},
    ],
)
def test_what_changes_nothing_is_accepted(options: dict[str, Any]) -> None:
    assert from_json({"AwsS3Storage": BUCKET | options}).s3.is_used


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"MigrationFromFileSystemEnabled": True}, "AwsS3Storage.MigrationFromFileSystemEnabled: is not served"),
        ({"StorageEncryption": {"Enable": True}}, "AwsS3Storage.StorageEncryption: is not served"),
        ({"StorageEncryption": {"MasterKey": [1, "/key"]}}, "AwsS3Storage.StorageEncryption: is not served"),
        ({"HybridMode": "WriteToFileSystem"}, "AwsS3Storage.HybridMode: must be Disabled"),
        ({"RequestTimeout": 0}, "AwsS3Storage.RequestTimeout: must be at least 1"),
        ({"AccessKey": "a"}, "AwsS3Storage.SecretKey: belongs to AccessKey"),
        ({"Endpoint": "ftp://x"}, "AwsS3Storage.Endpoint: must start with http"),
        ({"RootPath": "a/../b"}, "AwsS3Storage.RootPath: must be names"),
        ({"StorageStructure": "deep"}, "AwsS3Storage.StorageStructure: must be one of"),
        ({"BucketNames": "x"}, "AwsS3Storage.BucketNames: unknown option; did you mean BucketName?"),
        ({"BucketName": ""}, "AwsS3Storage.BucketName: must be given"),
    ],
)
def test_what_cannot_be_is_named(options: dict[str, Any], message: str) -> None:
    assert refusal({"AwsS3Storage": BUCKET | options}).startswith(message)
