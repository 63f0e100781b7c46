"""Every observation and what a node does about it."""

import pytest

from cluster.coordinator.state import Action, decide
from cluster.schema.revision import Finding, Observation


@pytest.mark.parametrize(
    ("finding", "cluster_is_current", "may_upgrade", "action"),
    [
        (Finding.EMPTY, False, False, Action.INSTALL),
        (Finding.EXACT, True, True, Action.SERVE),
        # Our own schema is missing, on a database that Orthanc made, or older than this program.
        (Finding.EXACT, False, False, Action.INSTALL),
        (Finding.OLDER, True, True, Action.UPGRADE),
        (Finding.OLDER, False, True, Action.UPGRADE),
        # Not configured, or this process has served a newer revision already.
        (Finding.OLDER, True, False, Action.REFUSE),
        (Finding.OLDER, False, False, Action.REFUSE),
        (Finding.NEWER, True, True, Action.REFUSE),
        (Finding.FOREIGN, False, True, Action.REFUSE),
        (Finding.NO_SCHEMA, False, True, Action.REFUSE),
    ],
)
def test_decision(finding, cluster_is_current, may_upgrade, action):
    seen = Observation(finding)
    assert decide(seen, cluster_is_current=cluster_is_current, may_upgrade=may_upgrade) is action


@pytest.mark.parametrize("finding", list(Finding))
def test_every_finding_is_explained_with_the_schema_it_is_about(finding):
    assert '"archive"' in Observation(finding, 7).explain("archive")
