"""Types, ranges and combinations, outside section PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest

from cluster.config import DicomSettings, HttpSettings, Settings, load_settings
from cluster.config.unserved import UnservedOptions
from cluster.errors import ConfigurationError
from tests.unit.config.loading import from_json, refusal

WHOLE = "must be a whole number"
BOOLEAN = "must be true or false"
TEXT = "must be text"
UNSERVED = "is not served by this version"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("Name", 5, TEXT),
        ("Name", None, TEXT),
        ("Name", "a\nb", "must not contain control characters"),
        ("Name", "\ud800", "must be valid Unicode"),
        ("StorageDirectory", 5, TEXT),
        ("StorageDirectory", "", "must not be empty"),
        ("StorageDirectory", "a\0", "must not contain control characters"),
        ("DefaultEncoding", "UTF-8", "must be one of 'Ascii', 'Utf8'"),
        ("DefaultEncoding", "latin1", "must be one of"),
        ("OverwriteInstances", "Sometimes", "must be one of 'Never', 'Always' or 'IfChanged'"),
        ("OverwriteInstances", 1, "must be one of"),
        ("SyncStorageArea", "true", BOOLEAN),
        ("SyncStorageArea", 1, BOOLEAN),
        ("StorageCompression", "yes", BOOLEAN),
        ("StoreMD5ForAttachments", None, BOOLEAN),
        ("DicomServerEnabled", "no", BOOLEAN),
        ("DicomAet", "", "must have 1 to 16 characters"),
        ("DicomAet", "A" * 17, "must have 1 to 16 characters"),
        ("DicomAet", "A\\B", "must have 1 to 16 characters"),
        ("DicomAet", "A\tB", "must not contain control characters"),
        ("DicomAet", "    ", "must have 1 to 16 characters"),
        ("DicomAet", "É", "must have 1 to 16 characters"),
        ("DicomAet", 7, TEXT),
        ("DicomPort", 0, "must be at least 1"),
        ("DicomPort", 65536, "must be at most 65535"),
        ("DicomPort", "4242", WHOLE),
        ("DicomPort", True, WHOLE),
        ("DicomPort", 4242.0, WHOLE),
        ("DicomCheckCalledAet", 0, BOOLEAN),
        ("StrictAetComparison", [], BOOLEAN),
        ("MaximumPduLength", 4095, "must be at least 4096"),
        ("MaximumPduLength", 131073, "must be at most 131072"),
        ("DicomScpTimeout", -1, "must be at least 0"),
        ("UnknownSopClassAccepted", "", BOOLEAN),
        ("AcceptedTransferSyntaxes", 5, "must be text or an array of text"),
        ("HttpServerEnabled", {}, BOOLEAN),
        ("HttpPort", "8042", WHOLE),
        ("HttpPort", 10**30, "must be at most 65535"),
        ("HttpPort", 4242, "must differ from DicomPort"),
        ("RemoteAccessAllowed", "true", BOOLEAN),
        ("AuthenticationEnabled", "true", BOOLEAN),
        ("RegisteredUsers", ["alice"], "must be an object"),
        ("RegisteredUsers", {"a:b": "c"}, "a user name must not be empty or contain ':'"),
        ("RegisteredUsers", {"": "c"}, "a user name must not be empty or contain ':'"),
        ("Cluster", [], "must be an object"),
        ("Cluster", None, "must be an object"),
        ("PostgreSQL", "postgresql://", "must be an object"),
    ],
)
def test_a_wrong_option_is_named(key: str, value: Any, reason: str) -> None:
    assert refusal({key: value}).startswith(f"{key}: {reason}")


def test_a_wrong_entry_is_named_with_its_place() -> None:
    assert refusal({"AcceptedTransferSyntaxes": ["1.2.*", 5]}) == "AcceptedTransferSyntaxes[1]: must be text"
    assert refusal({"AcceptedTransferSyntaxes": "JPEG"}).startswith("AcceptedTransferSyntaxes[0]: must be a UID")
    assert refusal({"RegisteredUsers": {"alice": 5}}) == "RegisteredUsers.alice: must be text"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("RedisUrl", "http://localhost", "must start with redis://, rediss:// or redis+socket://"),
        ("RedisUrl", 6379, TEXT),
        ("NodeName", "", "must have at least 1 characters"),
        ("NodeName", "n" * 65, "must have at most 64 characters"),
        ("IngestProcesses", 0, "must be at least 1"),
        ("MaximumAssociations", 0, "must be at least 1"),
        ("MaximumBatchSize", 0, "must be at least 1"),
        ("MaximumBatchWaitMilliseconds", -1, "must be at least 0"),
        ("MaximumBatchWaitMilliseconds", 0.5, WHOLE),
        ("BatchesInFlight", 0, "must be at least 1"),
        ("MemoryBudgetMegabytes", 0, "must be at least 1"),
        ("StreamingThresholdKilobytes", 0, "must be at least 1"),
        ("StreamingThresholdKilobytes", 256 * 1024 + 1, "must not exceed Cluster.MemoryBudgetMegabytes"),
        ("TransactionTimeBudgetSeconds", 0, "must be at least 1"),
        ("DrainSeconds", -1, "must be at least 0"),
        ("Failpoints", "x", "must be an object"),
        ("DrainSecond", 1, "unknown option; did you mean DrainSeconds?"),
        ("drainSeconds", 1, "unknown option; did you mean DrainSeconds?"),
        ("drain_seconds", 1, "unknown option; did you mean DrainSeconds?"),
        ("Xyzzy", 1, "unknown option"),
    ],
)
def test_a_wrong_option_of_section_cluster_is_named(key: str, value: Any, reason: str) -> None:
    assert refusal({"Cluster": {key: value}}).startswith(f"Cluster.{key}: {reason}")


def test_unknown_options_elsewhere_are_ignored() -> None:
    assert (
        from_json({"ConcurrentJobs": 5, "DicomWeb": {"Enable": True}, "name": "x", "files": [], "http": 5})
        == Settings()
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("StoreDicom", False),
        ("IngestTranscoding", "1.2.840.10008.1.2.4.70"),
        ("ExtraMainDicomTags", {"Instance": ["Rows"]}),
        ("ReadOnly", True),
    ],
)
def test_what_is_not_served_stops_the_start(key: str, value: Any) -> None:
    default = UnservedOptions.by_key()[key].default

    assert refusal({key: value}) == f"{key}: {UNSERVED} and must stay at its default"
    assert refusal({key: 1.5}).startswith(f"{key}: must be ")
    assert from_json({key: default}) == Settings()


def test_every_option_that_is_not_served_is_tested() -> None:
    (values,) = (mark.args[1] for mark in test_what_is_not_served_stops_the_start.pytestmark)

    assert {key for key, _ in values} == set(UnservedOptions.by_key())


@pytest.mark.parametrize(("key", "value"), [("IngestTranscoding", ""), ("ExtraMainDicomTags", {"Patient": []})])
def test_what_asks_for_nothing_is_accepted(key: str, value: Any) -> None:
    assert from_json({key: value}) == Settings()


@pytest.mark.parametrize(
    ("document", "authentication"),
    [
        ({}, False),
        ({"RemoteAccessAllowed": False}, False),
        ({"RemoteAccessAllowed": True, "RegisteredUsers": {"a": "b"}}, True),
        ({"RemoteAccessAllowed": True, "AuthenticationEnabled": False}, False),
        ({"AuthenticationEnabled": True, "RegisteredUsers": {"a": "b"}}, True),
        ({"RegisteredUsers": {"a": "b"}}, False),
    ],
)
def test_authentication_follows_remote_access(document: dict[str, Any], authentication: bool) -> None:
    assert from_json(document).http.authentication_enabled is authentication


@pytest.mark.parametrize(
    "document",
    [
        {"RemoteAccessAllowed": True},
        {"AuthenticationEnabled": True},
        {"AuthenticationEnabled": True, "RegisteredUsers": {}},
    ],
)
def test_authentication_needs_users(document: dict[str, Any]) -> None:
    assert refusal(document).startswith("RegisteredUsers: must name at least one user")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.2.840.10008.1.2", ("1.2.840.10008.1.2",)), (["1.2.*", "1.3.?"], ("1.2.*", "1.3.?")), ([], ())],
)
def test_accepted_transfer_syntaxes_are_text_or_array(value: Any, expected: tuple[str, ...]) -> None:
    assert from_json({"AcceptedTransferSyntaxes": value}).dicom.accepted_transfer_syntaxes == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(True, "Always"), (False, "Never"), ("Always", "Always"), ("IfChanged", "IfChanged")]
)
def test_overwrite_instances_is_boolean_or_text(value: Any, expected: str) -> None:
    assert from_json({"OverwriteInstances": value}).overwrite_instances == expected


@pytest.mark.parametrize("port", [4096, 16384, 131072])
def test_limits_are_inclusive(port: int) -> None:
    assert from_json({"MaximumPduLength": port}).dicom.maximum_pdu_length == port


def test_the_same_port_is_no_conflict_for_a_server_that_is_off() -> None:
    assert from_json({"HttpServerEnabled": False, "HttpPort": 4242}).http.port == 4242


def test_models_are_frozen_and_can_be_built_by_field_names() -> None:
    settings = Settings(dicom=DicomSettings(aet="NODE1", port=11112), http=HttpSettings(port=8080))

    assert settings.dicom.aet == "NODE1"
    with pytest.raises(ValueError, match="frozen"):
        settings.name = "other"


def test_names_of_users() -> None:
    settings = from_json(
        {"UserMetadata": {"Opinion": 1024}, "UserContentType": {"raw": 65535, "page": [1025, "text/html"]}}
    )
    assert settings.user_metadata == {"Opinion": 1024}
    assert settings.user_content_type == {"raw": (65535, "application/octet-stream"), "page": (1025, "text/html")}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("UserMetadata", {"Opinion": 1023}),
        ("UserMetadata", {"Opinion": 65536}),
        ("UserMetadata", {"Opinion": "1024"}),
        ("UserMetadata", {"Opinion": True}),
        ("UserMetadata", {"1024": 1024}),
        ("UserMetadata", {"a": 1024, "b": 1024}),
        ("UserMetadata", [1024]),
        ("UserContentType", {"raw": [1024]}),
        ("UserContentType", {"raw": [1024, 5]}),
        ("UserContentType", {"raw": [1024, "a\nb"]}),
        ("UserContentType", {"a/b": 1024}),
        ("MaximumStorageSize", -1),
        ("MaximumStorageMode", "recycle"),
    ],
)
def test_bad_types_and_limits(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=key):
        from_json({key: value})


def test_revisions_need_hashes() -> None:
    with pytest.raises(ConfigurationError, match="CheckRevisions"):
        from_json({"CheckRevisions": True, "StoreMD5ForAttachments": False})


def test_modalities_have_two_forms() -> None:
    settings = from_json({"DicomModalities": {"a": ["A", "h", 104, "GE"], "b": {"AET": "B", "Host": "h", "Port": 1}}})
    assert settings.dicom.modalities["a"].manufacturer == "GE"
    assert settings.dicom.modalities["b"].allow_store


@pytest.mark.parametrize(
    ("modality", "reason"),
    [
        (["A", "h"], "DicomModalities.ct: must be [AET, host, port]"),
        ({"AET": "A", "Host": "h", "Port": 1, "AllowSore": False}, "DicomModalities.ct.AllowSore: unknown option"),
        ({"AET": "A", "Host": "h", "Port": 1, "AllowStore": 0}, "DicomModalities.ct.AllowStore: must be true or false"),
        ({"AET": "X" * 17, "Host": "h", "Port": 1}, "DicomModalities.ct.AET: must have at most 16 characters"),
    ],
)
def test_a_wrong_modality_is_named(modality: object, reason: str) -> None:
    assert refusal({"DicomModalities": {"ct": modality}}).startswith(reason)


def test_certificates_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "orthanc.json").write_text('{"SslCertificate": "tls/node.pem"}')
    settings = load_settings([tmp_path / "orthanc.json"], environ={})
    assert settings.http.ssl_certificate == tmp_path / "tls/node.pem"
    assert settings.dicom.tls_certificate is None


def test_read_only_users_have_to_be_users() -> None:
    assert (
        refusal({"Cluster": {"ReadOnlyUsers": ["eve"]}}) == "Cluster.ReadOnlyUsers: must name users of RegisteredUsers"
    )


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [(["localhost"], "must be an array of IP addresses"), (["0.0.0.0"], "names an address of the network")],
)
def test_addresses_to_bind(addresses: list[str], reason: str) -> None:
    assert refusal({"HttpBindAddresses": addresses}).startswith(f"HttpBindAddresses: {reason}")
