"""The lines of the start-up log that say what was configured."""

from cluster.config.settings import Settings


def describe(settings: Settings) -> list[str]:
    """Configuration files, index and storage area in words, one line each, no password."""
    lines = [f"Configuration file: {file}" for file in settings.files]
    if not settings.files:
        lines.append("No configuration file: defaults and environment only")
    postgresql = settings.postgresql
    if postgresql.enable_index:
        server = postgresql.server
        lines.append(
            f"PostgreSQL index: server {server.host or '(default)'}, database {server.database or '(default)'}, "
            f"schema {postgresql.schema_name}"
        )
    else:
        lines.append(
            f"SQLite index: folder {settings.index_directory}, for one node (PostgreSQL.EnableIndex is not true)"
        )
    if settings.s3.is_used:
        place = settings.s3.endpoint or f"AWS, region {settings.s3.region}"
        lines.append(f"Storage area: bucket {settings.s3.bucket_name} at {place}")
    elif postgresql.enable_storage:
        lines.append("Storage area: large objects in the same PostgreSQL database")
    else:
        lines.append(f"Storage area: folder {settings.storage_directory}")
    return lines
