"""The parts of a multipart body (RFC 2046, section 5.1.1), each as a stream; no more than a piece is held of any."""

import re
from collections.abc import Iterator

from workers.http.errors import BAD_REQUEST, Refusal

MAXIMUM_HEADER_BYTES = 16 * 1024
"""Of the lines above the content of one part."""

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_FILENAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"|filename=([^\s;]+)', re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """What separates the parts; raises Refusal (400) where the header does not say."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Refusal(BAD_REQUEST, "the content type of a multipart body has no 'boundary'")
    return (found[1] or found[2]).encode("latin-1")


def parts_of(pieces: Iterator[bytes], boundary: bytes) -> Iterator[tuple[str, Iterator[bytes]]]:
    """File name (empty if there is none) and content of each part; what is not read of one is skipped.

    Raises:
        Refusal: 400, it is not what it says, or ends too early.
    """
    body = _Body(pieces, b"\r\n--" + boundary)
    for _ in body.until_delimiter():
        pass  # what stands before the first part is no part
    while not body.is_at_end():
        filename = _FILENAME.search(body.header())
        content = body.until_delimiter()
        yield (filename[1] or filename[2] or "") if filename else "", content
        for _ in content:
            pass


class _Body:
    def __init__(self, pieces: Iterator[bytes], delimiter: bytes) -> None:
        self._pieces = pieces
        self._delimiter = delimiter
        # The first delimiter may be the very beginning, without a line before it.
        self._held = b"\r\n"

    def until_delimiter(self) -> Iterator[bytes]:
        """What comes before the next one, which is taken, too."""
        longest_beginning = len(self._delimiter) - 1
        while (found := self._held.find(self._delimiter)) < 0:
            certain = len(self._held) - longest_beginning
            if certain > 0:
                content, self._held = self._held[:certain], self._held[certain:]
                yield content
            self._hold_more()
        content, self._held = self._held[:found], self._held[found + len(self._delimiter) :]
        if content:
            yield content

    def is_at_end(self) -> bool:
        """Whether the delimiter was the last one; what follows it is no part."""
        while len(self._held) < 2:
            self._hold_more()
        if not self._held.startswith(b"--"):
            return False
        for _ in self._pieces:
            pass
        return True

    def header(self) -> str:
        """The lines above the content."""
        while (found := self._held.find(b"\r\n\r\n")) < 0 and len(self._held) <= MAXIMUM_HEADER_BYTES:
            self._hold_more()
        if not 0 <= found <= MAXIMUM_HEADER_BYTES:
            raise Refusal(BAD_REQUEST, "a part of the multipart body begins with too long a header")
        header, self._held = self._held[:found], self._held[found + 4 :]
        return header.decode("utf-8", "replace")

    def _hold_more(self) -> None:
        piece = next(self._pieces, b"")
        if not piece:
            raise Refusal(BAD_REQUEST, "the multipart body ends before its last boundary")
        self._held += piece
