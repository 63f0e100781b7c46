"""DIMSE statuses that the storage service answers or understands.

General statuses: PS3.7, Annex C. Those of C-STORE: PS3.4, Table B.2-1. Which outcome gets which: interop/ingest.md,
section 7, decided in cluster/ingest/acknowledge.py.
"""

from typing import Final

# PS3.7, Annex C: any DIMSE service
SUCCESS: Final = 0x0000
CANCEL: Final = 0xFE00
PENDING: Final = 0xFF00
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_SOP_INSTANCE: Final = 0x0111
NO_SUCH_SOP_INSTANCE: Final = 0x0112
INVALID_SOP_INSTANCE: Final = 0x0117
CLASS_INSTANCE_CONFLICT: Final = 0x0119
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
NOT_AUTHORIZED: Final = 0x0124
DUPLICATE_INVOCATION: Final = 0x0210
UNRECOGNIZED_OPERATION: Final = 0x0211
MISTYPED_ARGUMENT: Final = 0x0212

# PS3.4, Table B.2-1: C-STORE
OUT_OF_RESOURCES: Final = 0xA700
"""A7xx, refused: a sender may try again later. Orthanc's answer to most failures."""

DATA_SET_DOES_NOT_MATCH_SOP_CLASS: Final = 0xA900
"""A9xx, error: data set and request name different SOP classes or instances."""

CANNOT_UNDERSTAND: Final = 0xC000
"""Cxxx, error: the data set cannot be parsed."""
