"""Expanded resources as JSON (interop/rest.md 4, "Expanded objects")."""

from collections.abc import Mapping
from typing import Any, Literal

from cluster.config import Settings
from cluster.dicom.levels import Level
from cluster.dicom.main_tags import MAIN_TAGS, Tag
from cluster.dicom.tag_names import hexadecimal, is_known, keyword_of
from cluster.index.enumerations import MetadataType
from cluster.index.resources import Resource
from workers.http.user_types import metadata_name

TYPES = {Level.PATIENT: "Patient", Level.STUDY: "Study", Level.SERIES: "Series", Level.INSTANCE: "Instance"}
PATHS = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
LEVELS = {path: level for level, path in PATHS.items()}
_CHILDREN = {Level.PATIENT: "Studies", Level.STUDY: "Series", Level.SERIES: "Instances"}

TagFormat = Literal["keyword", "short", "full"]

CONTENTS = frozenset(
    (
        "MainDicomTags",
        "RequestedTags",
        "Metadata",
        "Status",
        "Parent",
        "Children",
        "Labels",
        "Attachments",
        "IsStable",
        "IsProtected",
    )
)
"""What `response-content` can name."""

USUAL = "Usual"
"""Among the contents: what is shown of metadata and attachments unless `response-content` says what is wanted."""

USUAL_CONTENTS = (CONTENTS - {"Metadata", "Attachments"}) | {USUAL}


def path_of(level: Level, public_id: str) -> str:
    """Where the REST API has a resource."""
    return f"/{PATHS[level]}/{public_id}"


def expanded(
    settings: Settings,
    resource: Resource,
    tags: TagFormat = "keyword",
    contents: frozenset[str] = USUAL_CONTENTS,
) -> dict[str, Any]:
    """The object that the REST API shows for a resource, with the contents that are wanted."""
    level = resource.level
    shown: dict[str, Any] = {"ID": resource.public_id, "Type": TYPES[level]}
    if "Labels" in contents:
        shown["Labels"] = list(resource.labels)
    if "MainDicomTags" in contents:
        shown |= _main_tags(resource, tags)
    if "Parent" in contents and resource.parent is not None:
        shown[f"Parent{TYPES[Level(level - 1)]}"] = resource.parent
    if "Children" in contents and level is not Level.INSTANCE:
        shown[_CHILDREN[level]] = list(resource.children)
    if "IsStable" in contents and level is not Level.INSTANCE:
        shown["IsStable"] = resource.is_stable
    if "IsProtected" in contents and level is Level.PATIENT:
        shown["IsProtected"] = resource.metadata.get(MetadataType.IS_PROTECTED) == "true"
    if "Status" in contents and level is Level.SERIES:
        shown["Status"] = resource.series_status
    if "Metadata" in contents:
        shown["Metadata"] = named_metadata(settings, resource)
    if "Attachments" in contents:
        shown["Attachments"] = _attachments(resource)
    if USUAL in contents:
        shown |= _usual(resource)
    return shown


def named_metadata(settings: Settings, resource: Resource) -> dict[str, str]:
    """The metadata of a resource by the names that users know."""
    return {metadata_name(settings, kind): value for kind, value in resource.metadata.items()}


def _usual(resource: Resource) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if resource.level is Level.INSTANCE:
        shown = {
            "FileSize": resource.file_size,
            "FileUuid": resource.file_uuid,
            "IndexInSeries": resource.number(MetadataType.INDEX_IN_SERIES),
        }
    else:
        shown["LastUpdate"] = resource.metadata.get(MetadataType.LAST_UPDATE, "")
    if resource.level is Level.SERIES:
        shown["ExpectedNumberOfInstances"] = resource.number(MetadataType.EXPECTED_NUMBER_OF_INSTANCES)
    for name, kind in (("AnonymizedFrom", MetadataType.ANONYMIZED_FROM), ("ModifiedFrom", MetadataType.MODIFIED_FROM)):
        if kind in resource.metadata:
            shown[name] = resource.metadata[kind]
    return shown


def _main_tags(resource: Resource, form: TagFormat) -> dict[str, Any]:
    own = dict(resource.main_tags)
    shown: dict[str, Any] = {}
    if resource.level is Level.STUDY:
        patient = {tag: own.pop(tag) for tag in MAIN_TAGS[Level.PATIENT] if tag in own}
        shown["PatientMainDicomTags"] = texts_as_json(patient, form)
    shown["MainDicomTags"] = texts_as_json(own, form)
    return shown


def _attachments(resource: Resource) -> list[dict[str, Any]]:
    return [
        {
            "CompressedMD5": attachment.compressed_md5,
            "CompressedSize": attachment.compressed_size,
            "ContentType": attachment.kind,
            "UncompressedMD5": attachment.md5,
            "UncompressedSize": attachment.size,
            "Uuid": attachment.uuid,
        }
        for attachment in resource.attachments
    ]


def texts_as_json(tags: Mapping[Tag, str], form: TagFormat) -> dict[str, Any]:
    """Tags with text, by keyword, or by number, or by number with everything about them."""
    if form == "keyword":
        return {tag_name(tag): value for tag, value in tags.items()}
    if form == "short":
        return {hexadecimal(tag): value for tag, value in tags.items()}
    return {hexadecimal(tag): {"Name": tag_name(tag), "Type": "String", "Value": value} for tag, value in tags.items()}


def tag_name(tag: Tag) -> str:
    """Keyword of a tag; its number if it has none, as several such tags must not share a name."""
    return keyword_of(tag) if is_known(tag) else hexadecimal(tag)
