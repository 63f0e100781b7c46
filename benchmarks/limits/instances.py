"""Rows of synthetic instances as a node makes them: parsed from the bytes, of many senders by turns."""

import hashlib
import uuid
from io import BytesIO

from cluster.dicom.header import read_part10
from cluster.index.attached_files import AttachedBytes
from cluster.index.store_instances import InstanceRows
from cluster.ingest.metadata import metadata_of
from cluster.ingest.origin import Origin
from workers.load.plan import Portion, instances_of
from workers.load.synthetic import SyntheticInstance
from workers.load.transports import part10

SENDERS = 16
_ORIGIN = Origin("DicomProtocol", "BENCHMARK", "127.0.0.1", "ORTHANC")


def rows_by_turns(count: int, seed: int, senders: int = SENDERS) -> list[InstanceRows]:
    """`count` instances of 30 KB, none of which another seed has.

    Each sender has studies of its own, and the first instances of all senders come before the second ones: so a batch
    that is cut from the list holds what a node gets at one time.
    """
    per_sender = -(-count // senders)
    streams = [
        list(instances_of(Portion(str(sender), range(per_sender)), size="small", seed=seed))
        for sender in range(senders)
    ]
    turns = [_rows(instance) for turn in zip(*streams, strict=True) for instance in turn]
    return turns[:count]


def _rows(instance: SyntheticInstance) -> InstanceRows:
    file = part10(instance)
    parsed = read_part10(BytesIO(file), len(file))
    md5 = hashlib.md5(file, usedforsecurity=False).hexdigest()
    return InstanceRows(parsed, AttachedBytes.plain(str(uuid.uuid4()), len(file), md5), metadata_of(parsed, _ORIGIN))
