"""Remote modalities: who may ask this node for what (interop/config.md, section 6)."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from cluster.config.options import Options, Port, Text


class Modality(Options):
    """One entry of DicomModalities; of the permissions only those for what this node serves have an effect.

    Unknown keys are refused here, other than in Orthanc: a misspelt `AllowStore` would open a door.
    """

    aet: Text = Field(min_length=1, max_length=16, validation_alias="AET")
    host: Text = Field(validation_alias="Host")
    port: Port = Field(validation_alias="Port")
    manufacturer: Text = Field(default="Generic", validation_alias="Manufacturer")
    allow_echo: bool = Field(default=True, validation_alias="AllowEcho")
    allow_store: bool = Field(default=True, validation_alias="AllowStore")
    allow_find: bool = Field(default=True, validation_alias="AllowFind")
    allow_find_worklist: bool = Field(default=True, validation_alias="AllowFindWorklist")
    allow_get: bool = Field(default=True, validation_alias="AllowGet")
    allow_move: bool = Field(default=True, validation_alias="AllowMove")
    allow_transcoding: bool = Field(default=True, validation_alias="AllowTranscoding")
    allow_storage_commitment: bool = Field(default=True, validation_alias="AllowStorageCommitment")
    allow_n_action: bool = Field(default=True, validation_alias="AllowNAction")
    allow_event_report: bool = Field(default=True, validation_alias="AllowEventReport")
    use_dicom_tls: bool = Field(default=False, validation_alias="UseDicomTls")
    local_aet: Text = Field(default="", validation_alias="LocalAet")
    timeout_seconds: int = Field(default=0, ge=0, validation_alias="Timeout")
    retrieve_method: Text = Field(default="SystemDefault", validation_alias="RetrieveMethod")


def _as_object(entry: Any) -> Any:
    """The short form, [AET, host, port] or [AET, host, port, manufacturer], as the long one."""
    if not isinstance(entry, (list, tuple)):
        return entry
    if len(entry) not in (3, 4):
        raise ValueError("must be [AET, host, port], [AET, host, port, manufacturer] or an object")
    return dict(zip(("AET", "Host", "Port", "Manufacturer"), entry, strict=False))


def _names(modalities: Mapping[str, Any]) -> Mapping[str, Any]:
    if not all(re.fullmatch(r"[A-Za-z0-9_-]+", name) for name in modalities):
        raise ValueError("names of modalities have letters, digits, '_' and '-' only")
    return modalities


Modalities = Annotated[
    Mapping[str, Annotated[Modality, BeforeValidator(_as_object)]],
    AfterValidator(_names),
]
