"""Watchers: what the history keeps, and when early stopping asks for an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.callbacks.early_stopping import EarlyStopping
from tunewright.callbacks.history import History, read_history


def step(number: int) -> dict:
    return {"kind": "step", "step": number, "loss": 1.0 / number}


def test_history_has_one_line_per_step_after_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    first = History(path)
    first({"kind": "start", "steps": 9})
    for number in range(1, 6):
        first(step(number))
    first({"kind": "phase", "name": "not kept"})
    with path.open("a") as file:
        file.write('{"kind": "step", "st')  # a crash in the middle of a line
    second = History(path)
    second({"kind": "start", "steps": 9, "told": 3})
    for number in range(4, 8):
        second(step(number))
    assert [event["step"] for event in read_history(path)] == [1, 2, 3, 4, 5, 6, 7]


def test_history_starts_anew_with_a_new_run(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for _ in range(2):
        history = History(path)
        history({"kind": "start", "steps": 9})
        history(step(1))
    assert len(read_history(path)) == 1


def test_no_number_that_json_has_not_is_written(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        history({"kind": "step", "step": 1, "loss": float("nan")})


@pytest.mark.parametrize(
    ("better", "stops_after"),
    [([True, False, False], 3), ([True, False, True, False, False], 5), ([True, True, True], None), ([False, False], 2)],
)
def test_early_stopping_counts_in_a_row(better: list[bool], stops_after: int | None) -> None:
    callback = EarlyStopping(patience=2)
    assert callback({"kind": "step", "step": 1}) is None
    asked = [callback({"kind": "evaluation", "better": one}) for one in better]
    first = next((place + 1 for place, request in enumerate(asked) if request is not None and request.stop), None)
    assert first == stops_after


def test_early_stopping_goes_on_counting_after_a_resume() -> None:
    callback = EarlyStopping(patience=3)
    callback({"kind": "start", "waited": 2})
    request = callback({"kind": "evaluation", "better": False})
    assert request is not None
    assert "3 evaluations" in request.reason
