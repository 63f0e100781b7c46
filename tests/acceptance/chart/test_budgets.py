"""No probe ends an upgrade, no kill a draining pod: their times follow from `expectedMinutes` and `drainSeconds`."""

import asyncio

import pytest

from tests.acceptance.chart.rendering import default_values, find, pods, render, values_of
from workers.http import probes

AFTER_DRAINING_SECONDS = 15
"""Housekeeping 5, doors 3, back-fill 5 (workers/node.py, workers/storescp/listener.py, cluster/coordinator/gate.py)."""


def rendered(**changes):
    return render(values_of("01-smallest") | changes)


@pytest.mark.parametrize("minutes", [1, 7, 60, 601])
@pytest.mark.parametrize("period", [1, 5, 7])
def test_start_up_outlasts_twice_the_expected_upgrade(minutes, period):
    manifests = rendered(upgrade={"expectedMinutes": minutes}, probes={"startup": {"periodSeconds": period}})
    for pod in pods(manifests):
        for container in pod.containers:
            if "startupProbe" in container:
                probe = container["startupProbe"]
                assert probe["periodSeconds"] * probe["failureThreshold"] >= 2 * 60 * minutes + 300


@pytest.mark.parametrize("minutes", [1, 60, 601])
def test_a_rollout_and_the_job_wait_as_long(minutes):
    manifests = rendered(upgrade={"expectedMinutes": minutes, "job": {"enabled": True}})
    for deployment in find(manifests, "Deployment"):
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        probe = container.get("startupProbe", {"periodSeconds": 0, "failureThreshold": 0})
        start = probe["periodSeconds"] * probe["failureThreshold"]
        assert deployment["spec"]["progressDeadlineSeconds"] > start + deployment["spec"]["minReadySeconds"]
        assert deployment["spec"]["progressDeadlineSeconds"] > 2 * 60 * minutes
    [job] = find(manifests, "Job")
    assert job["spec"]["activeDeadlineSeconds"] >= 2 * 60 * minutes


@pytest.mark.parametrize(("pre_stop", "drain", "margin"), [(0, 0, 15), (5, 25, 20), (30, 600, 60)])
def test_grace_covers_pre_stop_draining_and_the_rest(pre_stop, drain, margin):
    manifests = rendered(
        cluster={"drainSeconds": drain}, shutdown={"preStopSeconds": pre_stop, "marginSeconds": margin}
    )
    doors = [pod for pod in pods(manifests) if any("lifecycle" in it for it in pod.containers)]
    assert len(doors) == 2
    for pod in doors:
        [container] = pod.containers
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(pre_stop)]
        assert pod.spec["terminationGracePeriodSeconds"] >= pre_stop + drain + AFTER_DRAINING_SECONDS


@pytest.mark.parametrize("grace", [60, 120, 600])
def test_a_worker_has_time_left_to_give_back_what_it_does_not_finish(grace):
    manifests = rendered(worker={"terminationGracePeriodSeconds": grace})
    [pod] = [pod for pod in pods(manifests) if pod.owner.endswith("-worker")]
    [container] = pod.containers
    [drain] = [int(it["value"]) for it in container["env"] if it["name"] == "ORTHANC__CLUSTER__DRAIN_SECONDS"]
    # The rows that are being written have a time budget of 30 s (Cluster.TransactionTimeBudgetSeconds).
    assert pod.spec["terminationGracePeriodSeconds"] == grace >= drain + 30 + AFTER_DRAINING_SECONDS


def test_the_program_is_told_the_same_time_for_draining():
    [config_map] = find(rendered(cluster={"drainSeconds": 77}), "ConfigMap")
    assert '"DrainSeconds": 77' in config_map["data"]["orthanc.json"]


def test_a_pod_is_out_of_the_balancer_before_liveness_gives_it_up():
    values = {kind: it for kind, it in default_values()["probes"].items() if isinstance(it, dict)}
    seconds = {kind: it["periodSeconds"] * it.get("failureThreshold", 1) for kind, it in values.items()}
    assert seconds["readiness"] < seconds["liveness"]
    assert all(it["timeoutSeconds"] <= it["periodSeconds"] for it in values.values())


def test_liveness_looks_at_nothing():
    # Services are what a handler could ask for database, storage or broker: there are none.
    answer = asyncio.run(probes.livez(None, None))
    assert answer.status_code == 200
