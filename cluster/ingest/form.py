"""In which form an attachment is stored: as it came, or compressed (option StorageCompression)."""

from cluster.index.attached_files import AttachedBytes
from cluster.index.attachments import Compression
from cluster.storage.area import IncomingAttachment, StorageArea
from cluster.storage.zlib_form import deflated


def finish(
    storage: StorageArea, incoming: IncomingAttachment, kind: int, *, compress: bool, hashes: bool
) -> tuple[IncomingAttachment, AttachedBytes]:
    """Bring all bytes under their final name; what is stored now, and what its row has to say.

    If that fails, `incoming` is the caller's to discard. Raises StorageFull or StorageFailed.
    """
    md5 = incoming.md5() if hashes else ""
    if not compress:
        incoming.finish()
        return incoming, AttachedBytes.plain(incoming.uuid, incoming.size, md5)
    packed = storage.create(kind)
    try:
        for piece in deflated(incoming.stream(), incoming.size):
            packed.write(piece)
        packed.finish()
    except BaseException:
        packed.discard()
        raise
    incoming.discard()
    compressed_md5 = packed.md5() if hashes else ""
    form = Compression.ZLIB_WITH_SIZE
    return packed, AttachedBytes(packed.uuid, form, packed.size, incoming.size, md5, compressed_md5)
