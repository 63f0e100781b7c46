"""A load as a small YAML file: what is sent, by how many, how fast, and what is good enough.

::

    name: morning
    senders: 16
    same-study: true              # half of the senders push parts of the same studies
    send-again: 5                 # percent of the instances that are sent once more after their success
    overwrite: 5                  # percent that are sent once more with other content
    slow: {percent: 25, kilobytes-per-second: 64}   # senders behind a slow line
    studies:                      # shares; a preset's name, or a kind of one's own
      small: 60
      ct-large: {share: 30, modality: CT, rows: 512, columns: 512, series: 3, instances: 120}
      radiograph: {share: 10, modality: CR, rows: 2500, columns: 2048, series: 1, instances: 2}
    phases:                       # instances a second of all senders; without phases: as fast as it goes
      - {seconds: 60, rate: 20 to 200}
      - {seconds: 300, rate: 200}
    repeat: 3                     # the phases, one time after the other
    instances: 10000              # without phases: how many
    queries: 5                    # searches a second beside, in --archive
    deletes: 1                    # instances a second that are deleted again, over Orthanc's REST API
    thresholds: {p99-milliseconds: 500, instances-per-second: 150, retries: 10}

Scenarios of ours lie in `scenarios/` and are known by name.
"""

from dataclasses import dataclass, field
from functools import reduce
from math import gcd
from pathlib import Path
from typing import Any

import yaml

from cluster.errors import ConfigurationError
from workers.load.pace import Pace, Phase
from workers.load.plan import Slow
from workers.load.studies import SIZES, SOP_CLASSES, Kind
from workers.load.thresholds import Thresholds

_KEYS = {
    "name",
    "senders",
    "same-study",
    "send-again",
    "overwrite",
    "slow",
    "studies",
    "phases",
    "repeat",
    "instances",
    "queries",
    "deletes",
    "thresholds",
}
SCENARIOS = Path(__file__).parent / "scenarios"
_KIND_KEYS = {"share", "modality", "rows", "columns", "series", "instances"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the file says; None where it says nothing."""

    name: str
    senders: int | None = None
    shared_studies: bool | None = None
    send_again_percent: float = 0.0
    overwrite_percent: float = 0.0
    slow: Slow | None = None
    kinds: tuple[Kind, ...] | None = None
    """In the order in which studies take turns."""
    pace: Pace | None = None
    instances: int | None = None
    queries_per_second: float = 0.0
    deletes_per_second: float = 0.0
    thresholds: Thresholds = field(default_factory=Thresholds)


def known_scenarios() -> list[str]:
    """Names of those that come with the package."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def read_scenario(path: Path) -> Scenario:
    """Read a file, or one of ours by its name. Raises ConfigurationError, which names what is wrong in it."""
    if not path.is_file() and f"{path}" in known_scenarios():
        path = SCENARIOS / f"{path}.yaml"
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        names = ", ".join(known_scenarios())
        raise ConfigurationError("--scenario", f"{path}: {error.strerror}; ours are {names}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError("--scenario", f"{path} is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError("--scenario", f"{path} holds no keys")
    _known(document, _KEYS, "")
    phases = document.get("phases")
    if phases is not None and "instances" in document:
        raise ConfigurationError("instances", "says what the phases say already")
    repeat = _whole(document, "repeat")
    if repeat is not None and (not phases or repeat < 1):
        raise ConfigurationError("repeat", "is how often the phases come, at least once")
    return Scenario(
        name=str(document.get("name", path.stem)),
        senders=_whole(document, "senders"),
        shared_studies=document.get("same-study"),
        send_again_percent=_number(document, "send-again", 0.0),
        overwrite_percent=_number(document, "overwrite", 0.0),
        slow=_slow(document["slow"]) if "slow" in document else None,
        kinds=_kinds(document["studies"]) if "studies" in document else None,
        pace=_pace(phases, repeat or 1) if phases else None,
        instances=_whole(document, "instances"),
        queries_per_second=_number(document, "queries", 0.0),
        deletes_per_second=_number(document, "deletes", 0.0),
        thresholds=Thresholds.read(document.get("thresholds", {})),
    )


def _pace(phases: Any, repeat: int) -> Pace:
    if not isinstance(phases, list):
        raise ConfigurationError("phases", "is not a list of {seconds: …, rate: …}")
    return Pace(tuple(_phase(phase, f"phases[{place}]") for place, phase in enumerate(phases)), repeat)


def _slow(slow: Any) -> Slow:
    if not isinstance(slow, dict):
        raise ConfigurationError("slow", "is not {percent: …, kilobytes-per-second: …}")
    _known(slow, {"percent", "kilobytes-per-second"}, "slow.")
    percent = _number(slow, "percent", None, "slow")
    kilobytes = _number(slow, "kilobytes-per-second", None, "slow")
    if percent > 100 or kilobytes <= 0:
        raise ConfigurationError("slow", "needs at most 100 percent, and more than 0 kilobytes-per-second")
    return Slow(percent, 1000 * kilobytes)


def _phase(phase: Any, path: str) -> Phase:
    if not isinstance(phase, dict):
        raise ConfigurationError(path, "is not {seconds: …, rate: …}")
    _known(phase, {"seconds", "rate"}, f"{path}.")
    seconds = _number(phase, "seconds", None, path)
    first, _, last = str(phase.get("rate", "")).partition(" to ")
    try:
        rates = float(first), float(last or first)
    except ValueError:
        raise ConfigurationError(f"{path}.rate", "is neither a number nor '20 to 200'") from None
    if seconds <= 0 or min(rates) < 0 or max(rates) <= 0:
        raise ConfigurationError(path, "needs seconds and a rate above 0")
    return Phase(seconds, *rates)


def _kinds(studies: Any) -> tuple[Kind, ...]:
    if not isinstance(studies, dict) or not studies:
        raise ConfigurationError("studies", "holds no kinds of studies")
    shares: list[tuple[Kind, int]] = []
    for name, what in studies.items():
        shares += _shares(name, what)
    if sum(share for _, share in shares) <= 0:
        raise ConfigurationError("studies", "shares are all 0")
    divisor = reduce(gcd, (share for _, share in shares))
    return tuple(_spread([(kind, share // divisor) for kind, share in shares]))


def _shares(name: str, what: Any) -> list[tuple[Kind, int]]:
    """Kinds of one entry with their shares; presets of several kinds divide theirs."""
    path = f"studies.{name}"
    if isinstance(what, dict):
        _known(what, _KIND_KEYS, f"{path}.")
        modality = what.get("modality", "CT")
        if modality not in SOP_CLASSES:
            raise ConfigurationError(f"{path}.modality", f"must be one of {', '.join(SOP_CLASSES)}")
        sizes = [_whole(what, key, path) for key in ("rows", "columns", "series", "instances", "share")]
        rows, columns, series, instances, share = (1 if size is None else size for size in sizes)
        return [(Kind(modality, SOP_CLASSES[modality], rows, columns, series, instances), share)]
    if name not in SIZES:
        raise ConfigurationError(path, f"is no preset ({', '.join(SIZES)}) and says no modality")
    share = _whole({name: what}, name, "studies") or 0
    return [(kind, share) for kind in SIZES[name]]


def _spread(shares: list[tuple[Kind, int]]) -> list[Kind]:
    """Kinds as often as their shares say, spread as evenly as possible."""
    places = [
        ((turn + 0.5) / share, order, kind) for order, (kind, share) in enumerate(shares) for turn in range(share)
    ]
    return [kind for _, _, kind in sorted(places, key=lambda place: place[:2])]


def _known(document: dict[str, Any], keys: set[str], prefix: str) -> None:
    for key in document:
        if key not in keys:
            raise ConfigurationError(f"{prefix}{key}", f"is unknown; known are {', '.join(sorted(keys))}")


def _whole(document: dict[str, Any], key: str, path: str = "") -> int | None:
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"{path}.{key}".lstrip("."), f"must be a whole number, not {value!r}")
    return value


def _number(document: dict[str, Any], key: str, default: float | None, path: str = "") -> float:
    value = document.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"{path}.{key}".lstrip("."), f"must be a number, not {value!r}")
    return float(value)
