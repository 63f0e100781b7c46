"""Objects of one release fit together: what is selected, mounted, scaled or routed to is there."""

import pytest

from tests.acceptance.chart.rendering import SCENARIOS, find, pods, scenario, values_of


def selected(manifests, selector):
    return [pod.owner for pod in pods(manifests) if selector.items() <= dict(pod.labels).items()]


@pytest.mark.parametrize("name", SCENARIOS)
class TestEach:
    def test_service_leads_to_one_deployment_that_has_the_port(self, name):
        manifests = scenario(name)
        for service in find(manifests, "Service"):
            [owner] = selected(manifests, service["spec"]["selector"])
            [pod] = [pod for pod in pods(manifests) if pod.owner == owner]
            offered = {port["name"] for container in pod.containers for port in container.get("ports", [])}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= offered

    def test_disruption_budget_covers_one_deployment(self, name):
        manifests = scenario(name)
        for budget in find(manifests, "PodDisruptionBudget"):
            [owner] = selected(manifests, budget["spec"]["selector"]["matchLabels"])
            assert owner == f"Deployment/{budget['metadata']['name']}"

    def test_a_deployment_has_replicas_or_one_autoscaler(self, name):
        manifests = scenario(name)
        scalers = find(manifests, "HorizontalPodAutoscaler") + find(manifests, "ScaledObject")
        targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
        names = [deployment["metadata"]["name"] for deployment in find(manifests, "Deployment")]
        assert set(targets) <= set(names)
        assert len(targets) == len(set(targets))
        for deployment in find(manifests, "Deployment"):
            assert ("replicas" in deployment["spec"]) is not (deployment["metadata"]["name"] in targets)

    def test_deployment_selects_its_own_pods_and_no_others(self, name):
        manifests = scenario(name)
        for deployment in find(manifests, "Deployment"):
            owners = selected(manifests, deployment["spec"]["selector"]["matchLabels"])
            assert owners == [f"Deployment/{deployment['metadata']['name']}"]

    def test_volumes_lead_to_objects_that_are_there(self, name):
        manifests = scenario(name)
        values = values_of(name)
        claims = {claim["metadata"]["name"] for claim in find(manifests, "PersistentVolumeClaim")}
        claims |= {values.get("storage", {}).get("existingClaim")}
        claims |= {it["claimName"] for it in values.get("worker", {}).get("imports", [])}
        for pod in pods(manifests):
            volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
            for volume in volumes.values():
                if "configMap" in volume:
                    assert find(manifests, "ConfigMap", volume["configMap"]["name"])
                if "persistentVolumeClaim" in volume:
                    assert volume["persistentVolumeClaim"]["claimName"] in claims
            for container in pod.containers:
                assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes)

    def test_routes_lead_to_services(self, name):
        manifests = scenario(name)
        services = {service["metadata"]["name"] for service in find(manifests, "Service")}
        for ingress in find(manifests, "Ingress"):
            for rule in ingress["spec"]["rules"]:
                assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} <= services
        for route in find(manifests, "HTTPRoute"):
            for rule in route["spec"]["rules"]:
                assert {backend["name"] for backend in rule["backendRefs"]} <= services

    def test_denial_covers_every_pod(self, name):
        manifests = scenario(name)
        owners = [pod.owner for pod in pods(manifests)]
        for policy in find(manifests, "NetworkPolicy"):
            if policy["metadata"]["name"].endswith(("-deny", "-servers")):
                assert selected(manifests, policy["spec"]["podSelector"]["matchLabels"]) == owners

    def test_service_monitor_finds_every_door_for_http(self, name):
        manifests = scenario(name)
        for monitor in find(manifests, "ServiceMonitor"):
            selector = monitor["spec"]["selector"]["matchLabels"]
            found = [s for s in find(manifests, "Service") if selector.items() <= s["metadata"]["labels"].items()]
            scraped = {s["metadata"]["name"] for s in found if "http" in {p["name"] for p in s["spec"]["ports"]}}
            names = ("http", "ingest-http", "worker-metrics", "housekeeping-metrics")
            assert scraped == {f"{monitor['metadata']['name']}-{name}" for name in names}
