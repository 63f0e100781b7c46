"""AcceptedSopClasses, RejectedSopClasses and UnknownSopClassAccepted, by what a real association has in the end."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.storescp.conftest import Collector, StartScp
from tests.integration.storescp.peer import CT, EXPLICIT, IMPLICIT, VERIFICATION
from tests.integration.storescp.test_clients import associate, sample

ENHANCED_CT, MR, PRIVATE = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4.5"
PROPOSED = [(CT, [EXPLICIT]), (ENHANCED_CT, [EXPLICIT]), (MR, [EXPLICIT]), (PRIVATE, [EXPLICIT])]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {CT, ENHANCED_CT, MR}),
        ({"AcceptedSopClasses": [CT]}, {CT}),
        ({"AcceptedSopClasses": CT}, {CT}),
        ({"AcceptedSopClasses": ["*.4.1.1.2", "*.4.1.1.2.?"]}, {CT, ENHANCED_CT}),
        ({"AcceptedSopClasses": [PRIVATE, MR]}, {PRIVATE, MR}),
        ({"AcceptedSopClasses": ["1.2.3.*"]}, set()),
        ({"RejectedSopClasses": ["*.4.1.1.2*"]}, {MR}),
        ({"AcceptedSopClasses": ["*.4.1.1.2*"], "RejectedSopClasses": [CT]}, {ENHANCED_CT}),
        ({"UnknownSopClassAccepted": True}, {CT, ENHANCED_CT, MR, PRIVATE}),
        ({"UnknownSopClassAccepted": True, "AcceptedSopClasses": [CT]}, {CT, PRIVATE}),
        ({"UnknownSopClassAccepted": True, "RejectedSopClasses": ["1.2.3.*", MR]}, {CT, ENHANCED_CT}),
    ],
)
def test_which_classes_have_a_context(start_scp: StartScp, options: dict[str, Any], expected: set[str]) -> None:
    scp = start_scp(**options)
    with associate(scp, contexts=[*PROPOSED, (VERIFICATION, [IMPLICIT])]) as association:
        assert {abstract_syntax for abstract_syntax, _ in association.accepted} == expected | {VERIFICATION}
        assert association.echo() == 0


def test_dcmtk_is_told(start_scp: StartScp, collector: Collector, dcmtk: Callable[[str], Path]) -> None:
    scp = start_scp(RejectedSopClasses=[CT])
    command = [dcmtk("storescu"), "-aec", "ORTHANC", "127.0.0.1", str(scp.port), sample("CT_small.dcm")]
    sent = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert sent.returncode != 0
    assert "No presentation context" in sent.stderr or "No Acceptable Presentation Contexts" in sent.stderr
    assert collector.instances == []
