"""The rollout rehearsal, small: the chart's own pods under load while they are replaced, hung, killed, cut off.

``python -m benchmarks.rollout`` is the same with 16 senders and real time. `pytest -s` shows what was measured.
"""

from tests.acceptance.rollout import healing, rollouts
from tests.acceptance.rollout.stage import Seen, Stage


def check(seen: Seen) -> None:
    print(f"\n{seen}")
    assert not seen.unmet, f"{seen}\n{seen.history}"


def test_rolling_update(stage: Stage) -> None:
    check(rollouts.rolling_update(stage))


def test_more_and_fewer_pods(stage: Stage) -> None:
    check(rollouts.scale(stage))


def test_pods_killed_at_random(stage: Stage) -> None:
    check(healing.killed_at_random(stage))
