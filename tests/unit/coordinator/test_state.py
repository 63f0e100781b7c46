"""Every observation and what a node does about it."""

import pytest

from cluster.coordinator.state import Action, decide
from cluster.schema.revision import Finding, Observation


@pytest.mark.parametrize(
    ("finding", "cluster_is_current", "action"),
    [
        (Finding.EMPTY, False, Action.INSTALL),
        (Finding.EXACT, True, Action.SERVE),
        # Our own schema is missing, on a database that Orthanc made, or older than this program.
        (Finding.EXACT, False, Action.INSTALL),
        (Finding.OLDER, True, Action.REFUSE),
        (Finding.OLDER, False, Action.REFUSE),
        (Finding.NEWER, True, Action.REFUSE),
        (Finding.FOREIGN, False, Action.REFUSE),
        (Finding.NO_SCHEMA, False, Action.REFUSE),
    ],
)
def test_decision(finding, cluster_is_current, action):
    assert decide(Observation(finding), cluster_is_current=cluster_is_current) is action


@pytest.mark.parametrize("finding", list(Finding))
def test_every_finding_is_explained_with_the_schema_it_is_about(finding):
    assert '"archive"' in Observation(finding, 7).explain("archive")
