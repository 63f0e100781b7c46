"""Revisions of metadata and attachments (interop/revisions.md).

Two writers never get the same number: each holds the row from its look to its commit.
"""

from dataclasses import dataclass

from cluster.errors import RevisionConflict


@dataclass(frozen=True, slots=True)
class Version:
    """What an ETag names."""

    revision: int
    md5: str
    """Of the value, or of the uncompressed content; lower-case hexadecimal."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """What has to be there for a write to happen, if anything is there."""

    expected: Version | None = None
    """From If-Match; None if the client did not say."""
    is_required: bool = False
    """Option CheckRevisions: a client that does not say may not overwrite."""

    def check(self, present: Version) -> None:
        """Raise RevisionConflict unless `present` may be replaced or deleted."""
        if self.expected is None and self.is_required:
            raise RevisionConflict("the revision to be changed must be named (If-Match), as CheckRevisions is on")
        if self.expected is not None and self.expected != present:
            raise RevisionConflict(f"it has revision {present.revision} by now, or another content")
