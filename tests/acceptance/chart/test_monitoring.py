"""Alerts and panels read metrics that the program has; every alert has a runbook."""

import json
import re

import prometheus_client
import promql_parser
import pytest
import yaml

from cluster import telemetry
from tests.acceptance.chart.rendering import CHART, ROOT, find, scenario

RUNBOOKS = ROOT / "deploy" / "runbooks"
ALERTS = CHART / "files" / "alerts" / "orthanc-cluster.yaml"
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
RULES = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def exposed():
    """Sample names that a node exposes, with their labels."""
    names = {}
    for metric in vars(telemetry).values():
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            labels = set(metric._labelnames)
            match metric._type:
                case "counter":
                    names[metric._name + "_total"] = labels
                case "histogram":
                    names |= {metric._name + "_sum": labels, metric._name + "_count": labels}
                    names[metric._name + "_bucket"] = labels | {"le"}
                case "gauge":
                    names[metric._name] = labels
    return names


EXPOSED = exposed()
OF_PROMETHEUS = {"instance", "job", "namespace", "pod"}


def selectors(node):
    """All vector selectors of an expression."""
    found = []

    def walk(it):
        if isinstance(it, promql_parser.VectorSelector):
            found.append(it)
        if isinstance(it, promql_parser.MatrixSelector):
            found.append(it.vector_selector)
        for child in ("expr", "lhs", "rhs", "param"):
            if isinstance(getattr(it, child, None), promql_parser.Expr):
                walk(getattr(it, child))
        for argument in getattr(it, "args", None) or []:
            walk(argument)

    walk(node)
    return found


def check(expression):
    found = selectors(promql_parser.parse(expression))
    # As many as the text names: nothing was overlooked on the way through the tree.
    assert len(found) == len(re.findall(r"\borthanc_cluster_\w+", expression)) > 0
    for selector in found:
        assert selector.name in EXPOSED
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= EXPOSED[selector.name] | OF_PROMETHEUS, selector.name
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    available = set().union(*(EXPOSED[selector.name] for selector in found)) | OF_PROMETHEUS
    assert {label.strip() for labels in grouped for label in labels.split(",")} <= available


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
class TestAlert:
    def test_expression(self, rule):
        check(rule["expr"])

    def test_runbook_of_the_same_name(self, rule):
        text = (RUNBOOKS / f"{rule['alert']}.md").read_text("utf-8")
        assert text.startswith(f"# {rule['alert']}\n")
        assert "## Look\n" in text
        assert "## Do\n" in text

    def test_annotations(self, rule):
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
        used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        aggregated = [set(map(str.strip, it.split(","))) for it in re.findall(r"\bby \(([^)]*)\)", rule["expr"])]
        is_aggregated = bool(aggregated) or re.match(r"(sum|max|min)\b", rule["expr"])
        assert used <= (set().union(*aggregated) if is_aggregated else OF_PROMETHEUS)


def test_no_runbook_without_alert_and_no_dead_link():
    files = {file.stem for file in RUNBOOKS.glob("*.md")}
    assert files == {rule["alert"] for rule in RULES}
    for file in RUNBOOKS.glob("*.md"):
        for link in re.findall(r"\]\((\w+)\.md\)", file.read_text("utf-8")):
            assert link in files


def test_an_unknown_metric_or_label_would_be_noticed():
    for wrong in (
        "orthanc_cluster_redy == 0",
        'orthanc_cluster_upgrade_phase{fase="x"}',
        "sum by (x) (orthanc_cluster_ready)",
    ):
        with pytest.raises(AssertionError):
            check(wrong)


PHASES = {"receive", "parse", "wait", "bytes", "rows", "commit", "answer"}


def test_every_phase_of_an_instance_is_measured_and_shown_where_the_time_is():
    sources = [file.read_text("utf-8") for folder in ("cluster", "workers") for file in (ROOT / folder).rglob("*.py")]
    measured = re.findall(r"(?:phase_seconds\.labels|end_phase)\(\s*\"(\w+)\"", "".join(sources))
    assert set(measured) == PHASES
    panels = json.loads((CHART / "files" / "dashboards" / "where-is-the-time.json").read_text("utf-8"))["panels"]
    titles = [panel["title"] for panel in panels if panel["type"] == "row"]
    rows = {panel["title"]: panel["gridPos"]["y"] for panel in panels if panel["type"] == "row"}
    following = titles[titles.index("Where is the time") + 1]
    here = [it for it in panels if rows["Where is the time"] < it["gridPos"]["y"] < rows[following]]
    [busy] = [panel for panel in here if panel["title"] == "Busy in each phase"]
    assert "sum by (phase)" in busy["targets"][0]["expr"]
    assert "phase=" not in busy["targets"][0]["expr"]
    assert all(f"{phase}: " in busy["description"] for phase in PHASES)


def test_every_metric_is_looked_at():
    looked_at = " ".join(rule["expr"] for rule in RULES) + " ".join(file.read_text("utf-8") for file in DASHBOARDS)
    unseen = {name for name in EXPOSED if not name.endswith(("_sum", "_count", "_bucket")) and name not in looked_at}
    assert unseen == set()


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
class TestDashboard:
    def test_expressions(self, file):
        panels = json.loads(file.read_text("utf-8"))["panels"]
        targets = [target for panel in panels for target in panel.get("targets", [])]
        assert targets
        for target in targets:
            check(target["expr"].replace("$__rate_interval", "5m"))

    def test_panels_do_not_overlap(self, file):
        panels = json.loads(file.read_text("utf-8"))["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        cells = [
            (x, y)
            for panel in panels
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24

    def test_is_in_the_chart_unchanged(self, file):
        name = f"archive-orthanc-cluster-dashboard-{file.stem}"
        [config_map] = find(scenario("03-hospital"), "ConfigMap", name)
        assert config_map["data"] == {file.name: file.read_text("utf-8")}


def test_alerts_are_in_the_chart_with_their_runbooks():
    [made] = find(scenario("03-hospital"), "PrometheusRule")
    rules = [rule for group in made["spec"]["groups"] for rule in group["rules"]]
    for rule, source in zip(rules, RULES, strict=True):
        url = f"https://runbooks.example.org/{source['alert']}.md"
        assert rule == {**source, "annotations": {**source["annotations"], "runbook_url": url}}
