"""Scenarios: what they say, and what is wrong in them; phases: when instances are due."""

from collections import Counter
from pathlib import Path

import pytest

from cluster.errors import ConfigurationError
from workers.load.pace import Pace, Phase
from workers.load.plan import Slow
from workers.load.scenario import read_scenario
from workers.load.studies import CT, SMALL, TINY


def scenario_of(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "scenario.yaml"
    file.write_text(text)
    return read_scenario(file)


def test_shares_are_spread(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, "studies: {tiny: 60, ct: 20, small: 20}")
    assert Counter(scenario.kinds) == {TINY: 3, CT: 1, SMALL: 1}
    # Neither all of one kind first nor last
    assert scenario.kinds[0] == TINY
    assert scenario.kinds[-1] == TINY


def test_kinds_of_ones_own(tmp_path: Path) -> None:
    text = "studies: {mine: {share: 2, modality: MR, rows: 8, columns: 6, series: 3, instances: 4}}"
    (kind,) = scenario_of(tmp_path, text).kinds
    assert (kind.modality, kind.rows, kind.columns, kind.series, kind.instances_per_series) == ("MR", 8, 6, 3, 4)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[]", "--scenario"),
        ("a: {", "--scenario"),
        ("sender: 4", "sender"),
        ("senders: many", "senders"),
        ("senders: -1", "senders"),
        ("instances: 1\nphases: [{seconds: 1, rate: 1}]", "instances"),
        ("phases: [1]", "phases[0]"),
        ("phases: [{seconds: 1}]", "phases[0].rate"),
        ("phases: [{seconds: 1, rate: 1 to fast}]", "phases[0].rate"),
        ("phases: [{seconds: 0, rate: 1}]", "phases[0]"),
        ("phases: [{seconds: 1, rate: 1, until: 2}]", "phases[0].until"),
        ("studies: {}", "studies"),
        ("studies: {huge: 1}", "studies.huge"),
        ("studies: {tiny: 0}", "studies"),
        ("studies: {mine: {modality: XX}}", "studies.mine.modality"),
        ("studies: {mine: {colour: red}}", "studies.mine.colour"),
        ("send-again: often", "send-again"),
        ("overwrite: often", "overwrite"),
        ("slow: 3", "slow"),
        ("slow: {percent: 10}", "slow.kilobytes-per-second"),
        ("slow: {percent: 101, kilobytes-per-second: 1}", "slow"),
        ("deletes: many", "deletes"),
        ("repeat: 2", "repeat"),
        ("phases: 3", "phases"),
        ("thresholds: {p98-milliseconds: 1}", "thresholds.p98-milliseconds"),
        ("thresholds: {retries: few}", "thresholds.retries"),
        ("thresholds: 3", "thresholds"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        scenario_of(tmp_path, text)
    assert refused.value.path == path


def test_an_even_rate() -> None:
    pace = Pace((Phase(10, 5, 5),))
    assert pace.instances == 50
    assert [pace.due(number) for number in (0, 5, 49)] == pytest.approx([0, 1, 9.8])


def test_a_ramp_and_what_follows() -> None:
    pace = Pace((Phase(10, 0, 10), Phase(2, 10, 10), Phase(10, 10, 0)))
    assert pace.instances == 50 + 20 + 50
    assert pace.seconds == 22
    # Half of the time has a quarter of the ramp's instances
    assert pace.due(12.5) == pytest.approx(5)  # type: ignore[arg-type]
    assert pace.due(50) == pytest.approx(10)
    assert pace.due(60) == pytest.approx(11)
    assert pace.due(70 + 37.5) == pytest.approx(17)  # type: ignore[arg-type]
    due = [pace.due(number) for number in range(pace.instances)]
    assert due == sorted(due)
    assert due[-1] <= pace.seconds


def test_phases_come_again(tmp_path: Path) -> None:
    once = Pace((Phase(10, 0, 10), Phase(2, 10, 10)))
    pace = Pace(once.phases, repeat=3)
    assert (pace.instances, pace.seconds) == (210, 36)
    for number in (0, 12.5, 69):
        assert pace.due(70 + number) == pytest.approx(12 + once.due(number))  # type: ignore[arg-type]
        assert pace.due(140 + number) == pytest.approx(24 + once.due(number))  # type: ignore[arg-type]
    scenario = scenario_of(tmp_path, "phases: [{seconds: 10, rate: 0 to 10}, {seconds: 2, rate: 10}]\nrepeat: 3")
    assert scenario.pace == pace


def test_a_day_fits_into_a_minute() -> None:
    day = Pace((Phase(3600, 0, 10), Phase(3600, 10, 10)), repeat=12)
    minute = day.scaled(60)
    assert minute.seconds == pytest.approx(60)
    # The same rates, so a part of the instances
    assert minute.instances == pytest.approx(day.instances * 60 / 86400, abs=1)
    assert day.scaled(rate_factor=0.5).instances == day.instances / 2


def test_slow_senders_are_spread() -> None:
    assert [sender for sender in range(12) if Slow(25, 1000).holds_for(sender)] == [3, 7, 11]
    assert not any(Slow(0, 1000).holds_for(sender) for sender in range(100))
    assert all(Slow(100, 1000).holds_for(sender) for sender in range(100))


def test_ours_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ramp").mkdir()  # a folder is no scenario
    assert read_scenario(Path("ramp")).pace is not None
    with pytest.raises(ConfigurationError, match=r"ours are .*bursts.*day-curve.*hospital.*ramp"):
        read_scenario(Path("rump"))
