"""One bucket: requests of `obstore`, repeated where that may help, and their errors as ours.

obstore is imported when a bucket is configured: who has none needs no extra `s3`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from cluster.config import S3Settings
from cluster.errors import ConfigurationError, StorageFailed, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

PART_BYTES = 8 << 20
PARTS_AT_A_TIME = 2
"""Of one multipart upload; with PART_BYTES and the number of uploads this is the memory that large attachments take."""

RETRIES = 3
RETRY_SECONDS = 20
"""All attempts together; a sender waits meanwhile."""

_NO_SUCH_BUCKET = "NoSuchBucket"
_FULL = re.compile(r"<Code>(?:\w*StorageFull|\w*StorageQuota\w*|QuotaExceeded|InsufficientStorage)</Code>|: 507 ")
_CODE = re.compile(r"<Code>(\w+)</Code>")


class Bucket:
    """Thread-safe."""

    def __init__(self, settings: S3Settings) -> None:
        """Raises ConfigurationError where the extra `s3` is not installed."""
        try:
            import obstore
            from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
        except ImportError as error:
            raise ConfigurationError("AwsS3Storage", "needs the extra s3: pip install 'orthanc-cluster[s3]'") from error
        self._obstore = obstore
        self._denied = (PermissionDeniedError, UnauthenticatedError)
        self._name = settings.bucket_name
        self._place = settings.endpoint or f"AWS, region {settings.region}"
        self._store = _store(settings)

    def put(self, key: str, content: memoryview) -> None:
        """Write a small object in one request."""
        with self._errors():
            self._obstore.put(self._store, key, content, use_multipart=False)

    def put_parts(self, key: str, content: BinaryIO) -> None:
        """Write a large object in parts, read from where `content` is now."""
        with self._errors():
            self._obstore.put(
                self._store, key, content, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_A_TIME
            )

    def first_piece(self, key: str, length: int) -> tuple[int, bytes] | None:
        """Size of an object, and up to `length` bytes from its start; None if there is no such object."""
        try:
            with self._errors():
                found = self._obstore.get(self._store, key, options={"range": (0, length)})
                return found.meta["size"], bytes(found.bytes())
        except FileNotFoundError:
            return None
        except StorageUnavailable:
            # An empty object has no range at all.
            if self.size_of(key) == 0:
                return 0, b""
            raise

    def size_of(self, key: str) -> int | None:
        """Size of an object in bytes; None if there is no such object."""
        head = self._head(key)
        return None if head is None else int(head["size"])

    def written_at(self, key: str) -> float | None:
        """When an object was written, in seconds since 1970; None if there is no such object."""
        head = self._head(key)
        return None if head is None else float(head["last_modified"].timestamp())

    def read(self, key: str, start: int, length: int) -> bytes:
        """A range of an object that is there."""
        try:
            with self._errors():
                data = bytes(self._obstore.get_range(self._store, key, start=start, length=length))
        except FileNotFoundError as error:
            raise StorageFailed(f"object {key} was removed while it was read") from error
        if len(data) != length:
            raise StorageFailed(f"object {key} became shorter while it was read")
        return data

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, as many as a request takes at a time; missing ones are no error."""
        with self._errors():
            self._obstore.delete(self._store, list(keys))

    def _head(self, key: str) -> Any:
        try:
            with self._errors():
                return self._obstore.head(self._store, key)
        except FileNotFoundError:
            return None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """FileNotFoundError stays as it is where it is the object that is missing."""
        try:
            yield
        except FileNotFoundError as error:
            if _NO_SUCH_BUCKET in str(error):
                message = f"AwsS3Storage.BucketName: there is no bucket {self._name} at {self._place}"
                raise StorageFailed(message) from error
            raise
        except self._denied as error:
            raise StorageFailed(
                f"AwsS3Storage: {self._place} refuses access to bucket {self._name} ({_reason(error)}): "
                "AccessKey, SecretKey or the policy is wrong"
            ) from error
        except self._obstore.exceptions.BaseError as error:
            if _FULL.search(str(error)):
                raise StorageFull(f"the storage area is full: bucket {self._name} at {self._place}") from error
            raise StorageUnavailable(f"bucket {self._name} at {self._place}: {_reason(error)}") from error


def _store(settings: S3Settings) -> "S3Store":
    from obstore.store import S3Store

    keys: dict[str, Any] = {}
    if settings.access_key.get_secret_value():
        keys["access_key_id"] = settings.access_key.get_secret_value()
        keys["secret_access_key"] = settings.secret_key.get_secret_value()
    if settings.endpoint:
        keys["endpoint"] = settings.endpoint
    return S3Store(
        settings.bucket_name,
        region=settings.region,
        virtual_hosted_style_request=settings.virtual_addressing,
        client_options={
            "allow_http": settings.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=settings.connection_timeout_seconds),
            "timeout": timedelta(seconds=settings.request_timeout_seconds),
        },
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {
                "base": 2,
                "init_backoff": timedelta(milliseconds=200),
                "max_backoff": timedelta(seconds=3),
            },
        },
        **keys,
    )


def _reason(error: Exception) -> str:
    """S3's own code if it gave one, else what the HTTP client says; without keys, which are in no message of either."""
    text = str(error)
    code = _CODE.search(text)
    if code is not None:
        return code[1]
    return text.splitlines()[0].rpartition(" - ")[2] if text else type(error).__name__
