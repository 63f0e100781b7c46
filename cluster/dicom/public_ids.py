"""Public ids: the names under which Orthanc knows patients, studies, series and instances.

They depend on the four DICOM identifiers only, so the same instance has the same ids on every node and in every
replay of a batch. Source: interop/identifiers.md, "Hash input".
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicIds:
    """The public id of an instance and those of the resources above it, 44 characters each."""

    patient: str
    study: str
    series: str
    instance: str


def public_ids(patient_id: str, study_uid: str, series_uid: str, sop_uid: str) -> PublicIds:
    """Derive the four public ids from the identifiers as text, un-normalised.

    A vertical bar inside an identifier is hashed as it is; there is no escaping. Source: interop/identifiers.md.
    """
    patient = patient_id.encode()
    study = b"|".join((patient, study_uid.encode()))
    series = b"|".join((study, series_uid.encode()))
    instance = b"|".join((series, sop_uid.encode()))
    return PublicIds(_public_id(patient), _public_id(study), _public_id(series), _public_id(instance))


def _public_id(hashed: bytes) -> str:
    digest = hashlib.sha1(hashed, usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:16]}-{digest[16:24]}-{digest[24:32]}-{digest[32:]}"
