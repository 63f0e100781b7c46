"""Expanded resources as JSON (interop/rest.md 4, "Expanded objects")."""

from collections.abc import Mapping
from typing import Any, Literal

from cluster.dicom.levels import Level
from cluster.dicom.main_tags import KEYWORDS, MAIN_TAGS, Tag
from cluster.index.enumerations import MetadataType
from cluster.index.resources import Resource

TYPES = {Level.PATIENT: "Patient", Level.STUDY: "Study", Level.SERIES: "Series", Level.INSTANCE: "Instance"}
PATHS = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
_CHILDREN = {Level.PATIENT: "Studies", Level.STUDY: "Series", Level.SERIES: "Instances"}

TagFormat = Literal["keyword", "short", "full"]


def path_of(level: Level, public_id: str) -> str:
    """Where the REST API has a resource."""
    return f"/{PATHS[level]}/{public_id}"


def expanded(resource: Resource, tags: TagFormat = "keyword") -> dict[str, Any]:
    """The object that the REST API shows for a resource.

    IsStable is derived from LastUpdate, as there is no other trace of stability in the index.
    """
    level = resource.level
    own = dict(resource.main_tags)
    shown: dict[str, Any] = {"ID": resource.public_id, "Type": TYPES[level], "Labels": list(resource.labels)}
    if level is Level.STUDY:
        patient = {tag: own.pop(tag) for tag in MAIN_TAGS[Level.PATIENT] if tag in own}
        shown["PatientMainDicomTags"] = _tags(patient, tags)
    shown["MainDicomTags"] = _tags(own, tags)
    if resource.parent is not None:
        shown[f"Parent{TYPES[Level(level - 1)]}"] = resource.parent
    if level is Level.INSTANCE:
        shown |= {
            "FileSize": resource.file_size,
            "FileUuid": resource.file_uuid,
            "IndexInSeries": resource.number(MetadataType.INDEX_IN_SERIES),
        }
    else:
        shown |= {
            _CHILDREN[level]: list(resource.children),
            "IsStable": resource.is_stable,
            "LastUpdate": resource.metadata.get(MetadataType.LAST_UPDATE, ""),
        }
    if level is Level.PATIENT:
        shown["IsProtected"] = resource.metadata.get(MetadataType.IS_PROTECTED) == "true"
    if level is Level.SERIES:
        shown["ExpectedNumberOfInstances"] = resource.number(MetadataType.EXPECTED_NUMBER_OF_INSTANCES)
        shown["Status"] = resource.series_status
    for name, kind in (("AnonymizedFrom", MetadataType.ANONYMIZED_FROM), ("ModifiedFrom", MetadataType.MODIFIED_FROM)):
        if kind in resource.metadata:
            shown[name] = resource.metadata[kind]
    return shown


def _tags(tags: Mapping[Tag, str], form: TagFormat) -> dict[str, Any]:
    if form == "keyword":
        return {_name(tag): value for tag, value in tags.items()}
    if form == "short":
        return {_number(tag): value for tag, value in tags.items()}
    return {_number(tag): {"Name": _name(tag), "Type": "String", "Value": value} for tag, value in tags.items()}


def _name(tag: Tag) -> str:
    # Another server of the same index may be configured with extra main DICOM tags.
    return KEYWORDS.get(tag) or _number(tag)


def _number(tag: Tag) -> str:
    return f"{tag[0]:04x},{tag[1]:04x}"
