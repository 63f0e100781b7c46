"""Which storage area the configuration asks for."""

from cluster.config import Settings
from cluster.database import Database
from cluster.storage.area import StorageArea
from cluster.storage.filesystem import FilesystemStorageArea
from cluster.storage.large_objects import LargeObjectStorageArea
from cluster.storage.memory_budget import MemoryBudget
from cluster.storage.names import Names
from cluster.storage.s3 import S3StorageArea


def open_storage_area(settings: Settings, database: Database, names: Names) -> StorageArea:
    """The storage area of this process; to be called after fork.

    Raises:
        StorageFailed: the storage directory cannot be used.
        ConfigurationError: what a bucket needs is not installed.
    """
    # The rest of the budget is for the interpreter, the associations' receive buffers and libpq.
    memory = MemoryBudget(settings.cluster.memory_budget_megabytes * (1 << 20) // 4)
    threshold = settings.cluster.streaming_threshold_kilobytes * 1024
    if settings.s3.is_used:
        return S3StorageArea(settings.s3, names, memory, threshold)
    if settings.postgresql.enable_storage:
        return LargeObjectStorageArea(database, names, memory, threshold)
    return FilesystemStorageArea(
        settings.storage_directory,
        names=names,
        sync=settings.sync_storage_area,
        memory=memory,
        streaming_threshold=threshold,
    )
