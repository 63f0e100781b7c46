"""Each scenario is rendered by Helm's engine, known to Kubernetes, and has of it what its asserts.yaml says."""

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.acceptance.chart.rendering import CHART, SCENARIOS, find, look, scenario, values_of

OLDEST, NEWEST = "1.25", kubernetes_validate.latest_version()
INFORMATION = 1
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication", "HTTPRoute"}
"""Kinds of operators, for which Kubernetes has no schema."""

ASSERTS = [
    (name, number, check)
    for name in SCENARIOS
    for number, check in enumerate(yaml.safe_load((CHART / "scenarios" / name / "asserts.yaml").read_text("utf-8")))
]


def test_the_oldest_version_is_the_one_that_the_chart_names():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


@pytest.mark.parametrize("name", SCENARIOS)
def test_lint(name):
    result = helm_python.lint(CHART, values_of(name), strict=True)
    assert not [it for it in result["messages"] if it["severity"] > INFORMATION]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", SCENARIOS)
def test_kubernetes_knows_every_field(name, version):
    for manifest in scenario(name):
        if manifest["kind"] in CUSTOM:
            continue
        # Strict: a field that is not in the schema is an error. A kind that is not raises SchemaNotFoundError.
        kubernetes_validate.validate(manifest, version, strict=True)


def test_kubernetes_schemas_do_find_a_misspelt_field():
    [budget] = find(scenario("01-smallest"), "PodDisruptionBudget", "archive-orthanc-cluster-ingest")
    misspelt = {**budget, "spec": {**budget["spec"], "maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, NEWEST, strict=True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_two_objects_of_one_name(name):
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in scenario(name)]
    assert len(names) == len(set(names))
    assert all(len(each) <= 63 for _, each in names)


@pytest.mark.parametrize(
    ("name", "number", "check"), ASSERTS, ids=lambda it: it["what"] if isinstance(it, dict) else it
)
def test_assert(name, number, check):
    manifests = scenario(name)
    if "absent" in check:
        kind, _, object_name = check["absent"].partition("/")
        assert not find(manifests, kind, object_name or None)
        return
    [found] = find(manifests, *check["object"].split("/"))
    assert look(found, check["path"]) == check["equals"]
