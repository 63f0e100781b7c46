"""The metadata that new resources get at ingest (interop/ingest.md 2.7, interop/enumerations.md)."""

from cluster.dicom.header import DicomInstance
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import SIGNATURES
from cluster.index.enumerations import MetadataType
from cluster.index.store_instances import Metadata
from cluster.ingest.origin import Origin


def metadata_of(instance: DicomInstance, origin: Origin) -> tuple[Metadata, Metadata, Metadata, Metadata]:
    """Rows by level, for resources that the instance creates.

    LastUpdate and the recycling order are missing: they change with every instance and belong to the index.
    """
    patient, study, series, own = (_of_every_level(level, instance) for level in Level)

    series[MetadataType.REMOTE_AET] = origin.remote_aet
    if instance.expected_instances is not None:
        series[MetadataType.EXPECTED_NUMBER_OF_INSTANCES] = str(instance.expected_instances)

    own[MetadataType.RECEPTION_DATE] = None  # the time of the transaction
    own |= origin.metadata()
    own[MetadataType.TRANSFER_SYNTAX] = instance.transfer_syntax_uid
    own[MetadataType.SOP_CLASS_UID] = instance.sop_class_uid
    if instance.pixel_data_offset is not None:
        own[MetadataType.PIXEL_DATA_OFFSET] = str(instance.pixel_data_offset)
    if instance.pixel_data_vr is not None:
        own[MetadataType.PIXEL_DATA_VR] = instance.pixel_data_vr
    if instance.index_in_series is not None:
        own[MetadataType.INDEX_IN_SERIES] = instance.index_in_series
    return patient, study, series, own


def _of_every_level(level: Level, instance: DicomInstance) -> dict[int, str | None]:
    rows: dict[int, str | None] = {MetadataType.MAIN_DICOM_TAGS_SIGNATURE: SIGNATURES[level]}
    sequences = instance.sequences[level]
    if sequences is not None:
        rows[MetadataType.MAIN_DICOM_SEQUENCES] = sequences
    return rows
