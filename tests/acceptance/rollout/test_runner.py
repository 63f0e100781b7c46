"""The rehearsal itself: it kills what fails, waits for what does not, and refuses what it does not understand.

The manifests are the chart's; the program in them is one that does as it is told by files in its storage folder.
"""

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.chart.rendering import find, render
from tests.acceptance.rollout.deployment import Controller
from tests.acceptance.rollout.machine import Machine
from tests.acceptance.rollout.manifests import Deployment, Template
from tests.acceptance.rollout.rehearsal import VALUES
from workers.local.children import wait_until

SCALE = 0.1
SECONDS = 30
IMAGE = "orthanc-cluster:puppet"
MANIFESTS = render(VALUES | {"image": {"tag": "puppet"}})
[INGEST] = find(MANIFESTS, "Deployment", "archive-orthanc-cluster-ingest")

PUPPET = f"""\
#!{sys.executable}
import http.server, json, os, pathlib, signal, sys
folder = pathlib.Path(json.loads(pathlib.Path(sys.argv[3], "orthanc.json").read_text())["StorageDirectory"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if (folder / self.path.strip("/")).exists() else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, signal.SIG_IGN if (folder / "stubborn").exists() else lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["ORTHANC__HTTP_PORT"])), Handler).serve_forever()
"""


class Puppets:
    """A controller of puppets, and the files that they look for."""

    def __init__(self, folder: Path) -> None:
        programs = folder / "image"
        programs.mkdir()
        (programs / "orthanc-cluster").write_text(PUPPET, "utf-8")
        (programs / "orthanc-cluster").chmod(0o755)
        secrets = {("archive-postgresql", "uri"): "", ("archive-redis", "url"): "", ("archive-users", "users.json"): ""}
        self.machine = Machine(folder, secrets, {IMAGE: programs}, SCALE)
        self.machine.storage.mkdir()
        self.controller = Controller(self.machine)
        self.wish = Deployment.read(INGEST, SCALE)

    def say(self, *files: str) -> None:
        """Answer these paths by 503 from now on, or be stubborn."""
        for file in files:
            (self.machine.storage / file).touch()

    def apply(self, **template: object) -> None:
        self.wish = replace(self.wish, template=replace(self.wish.template, **template))
        self.controller.apply(self.wish, MANIFESTS)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        assert wait_until(condition, SECONDS), self.machine.history()


@pytest.fixture
def puppets(tmp_path: Path) -> Iterator[Puppets]:
    with ExitStack() as stack:
        puppets = Puppets(tmp_path)
        stack.enter_context(puppets.controller)
        yield puppets


def test_starts_as_many_as_wished_and_replaces_them_one_by_one(puppets: Puppets) -> None:
    puppets.apply()
    puppets.wait_for(lambda: puppets.controller.is_complete)
    first = puppets.controller.live
    assert len(first) == 2
    puppets.controller.watch_availability()
    puppets.apply(fingerprint="another")
    puppets.wait_for(lambda: puppets.controller.is_complete)
    assert [pod.exit_status for pod in first] == [0, 0]
    assert puppets.controller.most == 3
    assert puppets.controller.fewest_available == 2
    assert puppets.controller.restarts == []


def test_a_failing_liveness_probe_is_a_restart(puppets: Puppets) -> None:
    puppets.apply()
    puppets.wait_for(lambda: puppets.controller.is_complete)
    puppets.say("livez")
    puppets.wait_for(lambda: len(puppets.controller.restarts) >= 2)
    assert all("livenessProbe failed 3 times" in why for why in puppets.controller.restarts)


def test_a_failing_readiness_probe_is_none(puppets: Puppets) -> None:
    puppets.apply()
    puppets.wait_for(lambda: puppets.controller.is_complete)
    puppets.say("readyz")
    puppets.wait_for(lambda: not puppets.controller.available)
    assert len(puppets.controller.live) == 2
    assert puppets.controller.restarts == []


def test_start_up_has_a_budget_and_liveness_waits_for_its_end(puppets: Puppets) -> None:
    puppets.say("startupz", "livez", "readyz")
    probes = puppets.wish.template.probes
    puppets.apply(probes={**probes, "startupProbe": replace(probes["startupProbe"], failures=4)})
    puppets.wait_for(lambda: len(puppets.controller.restarts) >= 2)
    assert all("startupProbe failed 4 times" in why for why in puppets.controller.restarts)
    assert not puppets.controller.available


def test_new_pods_that_do_not_get_ready_leave_the_old_ones_alone(puppets: Puppets) -> None:
    puppets.apply()
    puppets.wait_for(lambda: puppets.controller.is_complete)
    first = puppets.controller.live
    puppets.controller.watch_availability()
    puppets.say("startupz")  # which nobody asks the first ones any more
    puppets.apply(fingerprint="another")
    puppets.wait_for(lambda: len(puppets.controller.live) == 3)
    [new] = [pod for pod in puppets.controller.live if pod not in first]
    puppets.wait_for(lambda: new.pid is not None)
    assert not wait_until(lambda: any(pod.leaving.is_set() for pod in first), 10 * SCALE)
    assert puppets.controller.fewest_available == 2


def test_who_does_not_go_is_killed_after_its_grace(puppets: Puppets) -> None:
    puppets.say("stubborn")
    puppets.apply()
    puppets.wait_for(lambda: puppets.controller.is_complete)
    pod = puppets.controller.live[0]
    pod.delete()
    puppets.wait_for(lambda: pod.gone)
    assert pod.exit_status == -9
    puppets.wait_for(lambda: puppets.controller.is_complete)


def test_a_killed_pod_is_replaced(puppets: Puppets) -> None:
    puppets.apply()
    puppets.wait_for(lambda: puppets.controller.is_complete)
    puppets.controller.live[0].kill()
    puppets.wait_for(lambda: len(puppets.controller.pods) == 3 and puppets.controller.is_complete)


@pytest.mark.parametrize(
    "change",
    [
        {"initContainers": []},
        {"hostNetwork": True},
        {"containers": [INGEST["spec"]["template"]["spec"]["containers"][0] | {"envFrom": []}]},
    ],
)
def test_what_would_have_to_be_obeyed_is_refused(change: dict[str, object]) -> None:
    template = copy.deepcopy(INGEST["spec"]["template"])
    template["spec"] |= change
    with pytest.raises(NotImplementedError):
        Template.read(template, SCALE)
