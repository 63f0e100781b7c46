"""DICOM tags that no file has and that the tree of resources answers (PS3.4 C.3.4, interop/rest.md 8)."""

from enum import Enum

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import Tag


class ComputedTag(Enum):
    """Tag, and the level of the resource that it describes; resources below it have it too."""

    INSTANCE_AVAILABILITY = ((0x0008, 0x0056), Level.PATIENT)
    MODALITIES_IN_STUDY = ((0x0008, 0x0061), Level.STUDY)
    SOP_CLASSES_IN_STUDY = ((0x0008, 0x0062), Level.STUDY)
    NUMBER_OF_PATIENT_RELATED_STUDIES = ((0x0020, 0x1200), Level.PATIENT)
    NUMBER_OF_PATIENT_RELATED_SERIES = ((0x0020, 0x1202), Level.PATIENT)
    NUMBER_OF_PATIENT_RELATED_INSTANCES = ((0x0020, 0x1204), Level.PATIENT)
    NUMBER_OF_STUDY_RELATED_SERIES = ((0x0020, 0x1206), Level.STUDY)
    NUMBER_OF_STUDY_RELATED_INSTANCES = ((0x0020, 0x1208), Level.STUDY)
    NUMBER_OF_SERIES_RELATED_INSTANCES = ((0x0020, 0x1209), Level.SERIES)

    def __init__(self, tag: Tag, level: Level) -> None:
        self.tag = tag
        self.level = level


COMPUTED_TAGS = {computed.tag: computed for computed in ComputedTag}
