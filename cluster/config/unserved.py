"""Options of Orthanc that would change what is stored or who may enter, and that this version does not serve.

Other unknown options are ignored, as Orthanc does. These must not be: a site that configured one of them relies on it.
"""

from typing import Any

from pydantic import Field

from cluster.config.options import Options
from cluster.errors import ConfigurationError


class UnservedOptions(Options):
    """Each option with its type and its inert value, which is the only one (or its empty like) that is accepted."""

    store_dicom: bool = Field(default=True, validation_alias="StoreDicom")
    ingest_transcoding: str | None = Field(default=None, validation_alias="IngestTranscoding")
    extra_main_dicom_tags: dict[str, Any] = Field(default={}, validation_alias="ExtraMainDicomTags")
    read_only: bool = Field(default=False, validation_alias="ReadOnly")


def refuse_unserved(options: UnservedOptions) -> None:
    """Raise ConfigurationError for the first option that asks for something."""
    for name, field in UnservedOptions.model_fields.items():
        value = getattr(options, name)
        inert = value == field.default or value == "" or (isinstance(value, dict) and not any(value.values()))
        if not inert:
            raise ConfigurationError(
                str(field.validation_alias),
                "is not served by this version and must stay at its default",
            )
