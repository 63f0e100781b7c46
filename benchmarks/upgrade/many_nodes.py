"""Many nodes that start at once on a database of revision 1: exactly one of them does each step."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.archives import copy
from benchmarks.figures import Part
from benchmarks.upgrade.process import command, configuration, history, wait_until_done
from benchmarks.upgrade.setting import Setting
from cluster.config import environment_without_settings
from workers.local.cluster import is_ready
from workers.local.ports import free_ports
from workers.local.processes import ManagedProcess

READY_SECONDS = 300
STOP_SECONDS = 10


def many_nodes(setting: Setting, nodes: int) -> Part:
    """Start them, wait until all are ready and nothing is left to do, and count."""
    part = Part(sizes={"nodes": nodes, "instances": setting.archive.instances})
    with copy(setting.server, setting.archive.database, "f1") as uri:
        file = configuration(setting.folder, uri, BackFillPercent=100)
        began = time.monotonic()
        with _nodes(file, nodes) as started:
            for process, http_port in started:
                setting.tell(f"waiting for {process.name}")
                process.wait_ready(lambda port=http_port: is_ready(port), READY_SECONDS)
            part.details["seconds_until_all_ready"] = round(time.monotonic() - began, 2)
            steps = wait_until_done(uri, READY_SECONDS)
            ready = sum(is_ready(http_port) for _, http_port in started)
        done = history(uri)
    part.details["history"] = done
    once = sum(done.get(step.name) == 1 for step in steps)
    met = once == len(steps) and set(done.values()) == {1}
    part.add("steps that were done exactly once", f"all {len(steps)}", f"{once} of {len(steps)}", met)
    part.add("nodes ready afterwards", str(nodes), str(ready), ready == nodes)
    return part


@contextmanager
def _nodes(file: Path, number: int) -> Iterator[list[tuple[ManagedProcess, int]]]:
    """Ingest nodes, and their HTTP ports; not ready yet."""
    ports = free_ports(2 * number)
    started = []
    with ExitStack() as stack:
        for dicom_port, http_port in zip(ports[:number], ports[number:], strict=True):
            name = f"node-{len(started)}"
            options = ("--dicom-port", str(dicom_port), "--http-port", str(http_port), "--name", name)
            argv = command("ingest", "--config", str(file), *options)
            log = file.with_name(f"{name}.log")
            process = ManagedProcess(name, argv, log_path=log, env=environment_without_settings())
            process.start()
            stack.callback(process.terminate, STOP_SECONDS)
            started.append((process, http_port))
        yield started
        # All of them at once: twenty times a drained node's last seconds are a minute.
        for process, _ in started:
            process.kill()
