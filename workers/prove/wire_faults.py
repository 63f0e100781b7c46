"""What is done to links: before a node's doors, and of every process to PostgreSQL, its standby and Redis."""

import threading
from random import Random

from workers.prove.effects import require
from workers.prove.stage import Stage
from workers.prove.wire import Wire


def cut(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """Every connection of a wire is reset."""
    name, wire = _wire(stage, random)
    require(wire.cut() > 0, f"{name} had no connection")
    return name


def half_close(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """The servers of a wire are told that nothing follows; what they answer goes through."""
    name, wire = _wire(stage, random)
    require(wire.half_close() > 0, f"{name} had no connection")
    return name


def silence(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A wire carries nothing for a while, then all of it; or is cut, so that what was on the way is lost."""
    name, wire = _wire(stage, random)
    seconds, lost = random.uniform(0.2, 4.0), random.random() < 0.5
    held = wire.held
    wire.silence(True)
    stopping.wait(seconds)
    if lost:
        wire.cut()
    wire.heal()
    require(wire.held > held, f"{name} had nothing to carry")
    return f"{name} for {seconds:.1f} s{', then cut' if lost else ''}"


def delay(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A wire takes its time for a while."""
    name, wire = _wire(stage, random)
    milliseconds, seconds, held = random.choice((5, 20, 100)), random.uniform(0.5, 4.0), wire.held
    wire.delay(milliseconds / 1000)
    stopping.wait(seconds)
    wire.heal()
    require(wire.held > held, f"{name} had nothing to carry")
    return f"{name} by {milliseconds} ms for {seconds:.1f} s"


def throttle(stage: Stage, random: Random, stopping: threading.Event) -> str:
    """A wire becomes thin for a while."""
    name, wire = _wire(stage, random)
    kilobytes, seconds, held = random.choice((20, 200, 1000)), random.uniform(0.5, 4.0), wire.held
    wire.throttle(kilobytes * 1000)
    stopping.wait(seconds)
    wire.heal()
    require(wire.held > held, f"{name} had nothing to carry")
    return f"{name} to {kilobytes} kB/s for {seconds:.1f} s"


def _wire(stage: Stage, random: Random) -> tuple[str, Wire]:
    """Any link of any process; one that is used now, if there is one."""
    member = random.choice(stage.members)
    used = [name for name, wire in member.links.items() if wire.is_used]
    link = random.choice(sorted(used or member.links))
    return f"{member.name} {link}", member.links[link]
