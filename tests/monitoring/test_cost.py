"""What a run cost: processor time at a stated power here, and what codecarbon says where the machine can be read."""

from __future__ import annotations

import time

import pytest

from tunewright.core import energy as cost


def work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def test_processor_time_is_counted_at_the_stated_power(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_is_measurable", lambda: False)
    with cost.metered(time.monotonic()) as spent:
        idle = spent()
        work(0.3)
        busy = spent()
    watts = busy["energy"]["kwh"] * 3.6e6 / 0.3
    assert idle["energy"]["kwh"] <= 0.1 * busy["energy"]["kwh"]
    assert 9 < watts < 13  # the clock counts hundredths
    assert busy["energy"]["co2_kg"] == pytest.approx(0.48 * busy["energy"]["kwh"])
    assert "estimated" in busy["energy"]["how"]
    assert busy["seconds"] >= 0.3


def test_codecarbon_is_asked_where_there_is_something_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("codecarbon", reason="codecarbon is an extra")
    monkeypatch.setattr(cost, "_is_measurable", lambda: True)
    with cost.metered(time.monotonic()) as spent:
        work(1.0)
        first, second = spent(), spent()
    assert first["energy"]["kwh"] > 0
    assert first["energy"] == second["energy"]
    assert "measured by codecarbon" in first["energy"]["how"]
