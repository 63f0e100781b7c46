"""GET /system and GET /statistics (interop/rest.md 2)."""

from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import SIGNATURES
from cluster.index.statistics import read_statistics
from workers.http.answers import json_answer
from workers.http.expanded import TYPES
from workers.http.services import Services

API_VERSION = 31
"""Version of Orthanc's REST API that the routes follow, as far as they are served."""

DATABASE_VERSION = 6
"""Orthanc's own number of the index schema, whatever its revision."""


def get_system(services: Services, request: Request) -> Response:
    """What clients ask before anything else. Needs no database, so that it answers on a node that is not ready."""
    settings = services.settings
    return json_answer(
        {
            "ApiVersion": API_VERSION,
            "Capabilities": {
                "HasExtendedChanges": True,
                "HasExtendedFind": True,
                "HasKeyValueStores": False,
                "HasQueues": False,
                "HasReserveQueueValue": False,
            },
            "CheckRevisions": settings.check_revisions,
            "DatabaseBackendPlugin": "orthanc-cluster" if settings.postgresql.enable_index else None,
            "DatabaseServerIdentifier": settings.cluster.node_name,
            "DatabaseVersion": DATABASE_VERSION,
            "DicomAet": settings.dicom.aet,
            "DicomPort": settings.dicom.port,
            "HasLabels": True,
            "HttpPort": request.scope["server"][1],
            "IngestTranscoding": "",
            "IsHttpServerSecure": services.settings.http.ssl_enabled,
            "MainDicomTags": {TYPES[level]: SIGNATURES[level] for level in Level},
            "MaximumPatientCount": settings.maximum_patient_count,
            "MaximumStorageMode": settings.maximum_storage_mode,
            "MaximumStorageSize": settings.maximum_storage_size,
            "Name": settings.name,
            "OverwriteInstances": settings.overwrite_instances != "Never",
            "OverwriteInstancesMode": settings.overwrite_instances,
            "PatientLevelEnabled": True,
            "PluginsEnabled": False,
            "ReadOnly": False,
            "StorageAreaPlugin": None,
            "StorageCompression": settings.storage_compression,
            "StoreMD5ForAttachments": settings.store_md5_for_attachments,
            "UserMetadata": dict(settings.user_metadata),
            "Version": version("orthanc-cluster"),
        }
    )


def get_statistics(services: Services, request: Request) -> Response:
    """Exact totals; sizes in bytes are text because they outgrow what JavaScript calls a number."""
    services.require_ready()
    totals = read_statistics(services.database)
    answer: dict[str, Any] = {
        "CountInstances": totals.instances,
        "CountPatients": totals.patients,
        "CountSeries": totals.series,
        "CountStudies": totals.studies,
    }
    for name, size in (
        ("TotalDiskSize", totals.compressed_size),
        ("TotalUncompressedSize", totals.uncompressed_size),
    ):
        answer |= {name: str(size), f"{name}MB": size // (1 << 20)}
    return json_answer(answer)
