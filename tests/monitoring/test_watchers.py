"""History and early stopping: what the history keeps, and when early stopping asks for an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.callbacks.early_stopping import EarlyStopping
from tunewright.callbacks.history import History, read_events, read_history
from tunewright.core.errors import UserError
from tunewright.training.callback import Callback, checked
from tunewright.training.events import EvaluationEnd, LayersUnfrozen, StageMessages, StepEnd, TrainBegin, history_event


def begin(**more: int) -> TrainBegin:
    return TrainBegin(steps=9, epochs=1, rows=9, parameters=9, trainable=9, **more)


def step(number: int, loss: float | None = None) -> StepEnd:
    return StepEnd(number, number / 9, number / 9, 1.0 / number if loss is None else loss, {"0": 0.1}, None, 1.0)


def evaluation(better: bool) -> EvaluationEnd:
    return EvaluationEnd(1, 1.0, 0.5, 0.7, {"loss": 0.6, "auc": None}, better, 1.0)


def test_history_has_one_line_per_step_after_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    first = History(path)
    first.handle(begin())
    for number in range(1, 6):
        first.handle(step(number))
    first.handle(StageMessages("data", ("not kept",)))
    with path.open("a") as file:
        file.write('{"kind": "step", "st')  # a crash in the middle of a line
    second = History(path)
    second.handle(begin(history_lines=3))
    for number in range(4, 8):
        second.handle(step(number))
    assert [event["step"] for event in read_history(path)] == [1, 2, 3, 4, 5, 6, 7]


def test_history_starts_anew_with_a_new_run(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for _ in range(2):
        history = History(path)
        history.handle(begin())
        history.handle(step(1))
    assert len(read_history(path)) == 1


def test_no_number_that_json_has_not_is_written(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        history.handle(step(1, loss=float("nan")))


def test_what_is_written_reads_back_as_the_same_events(tmp_path: Path) -> None:
    events = [LayersUnfrozen(0, 5, "block 3"), step(1), evaluation(better=True)]
    history = History(tmp_path / "history.jsonl")
    for event in events:
        history.handle(event)
    assert read_events(history.path) == events
    assert [line["kind"] for line in read_history(history.path)] == ["stage", "step", "evaluation"]


def test_a_line_that_is_no_event_is_refused() -> None:
    with pytest.raises(UserError, match="kind 'phase'"):
        history_event({"kind": "phase"})
    with pytest.raises(UserError, match="not a whole 'step'"):
        history_event({"kind": "step", "step": 1})


def test_every_event_calls_its_hook_and_a_plain_function_is_refused() -> None:
    called: list[str] = []

    class Named(Callback):
        def on_step_end(self, event: StepEnd) -> None:
            called.append(f"step {event.step}")

        def on_evaluate(self, event: EvaluationEnd) -> None:
            called.append("evaluation")

    for event in (begin(), step(1), evaluation(better=False), LayersUnfrozen(0, 1)):
        assert Named().handle(event) is None
    assert called == ["step 1", "evaluation"]
    assert len(checked([Named()])) == 1
    with pytest.raises(UserError, match=r"is a builtin_function_or_method.*training\.callback\.Callback"):
        checked([print])


@pytest.mark.parametrize(
    ("better", "stops_after"),
    [([True, False, False], 3), ([True, False, True, False, False], 5), ([True, True, True], None), ([False, False], 2)],
)
def test_early_stopping_counts_in_a_row(better: list[bool], stops_after: int | None) -> None:
    callback = EarlyStopping(patience=2)
    assert callback.handle(step(1)) is None
    asked = [callback.handle(evaluation(better=one)) for one in better]
    first = next((place + 1 for place, request in enumerate(asked) if request is not None and request.stop), None)
    assert first == stops_after


def test_early_stopping_goes_on_counting_after_a_resume() -> None:
    callback = EarlyStopping(patience=3)
    callback.handle(begin(waited=2))
    request = callback.handle(evaluation(better=False))
    assert request is not None
    assert "3 evaluations" in request.reason
