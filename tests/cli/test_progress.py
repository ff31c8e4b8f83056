"""The progress callback: plain lines where nobody watches, a bar on a terminal, whatever happens closed at the end."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from tunewright.callbacks.progress import describe, progress
from tunewright.training.events import EvaluationEnd, LayersUnfrozen, StageMessages, StepEnd, TrainBegin, TrainEnd

EVENTS = [
    StageMessages("data", ("600 rows", "text column guessed: 'message'")),
    TrainBegin(steps=20, epochs=2, rows=600, parameters=22_700_000, trainable=384),
    LayersUnfrozen(0, 5, "block 3"),
    *(StepEnd(step, step / 10, step / 20, 1.0 / step, {}, None, step) for step in range(1, 11)),
    EvaluationEnd(10, 1.0, 0.5, 0.7, {"accuracy": 0.91, "auc": None}, True, 100.0),
    TrainEnd("all steps done"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_each_event_but_a_step_is_one_plain_line():
    stream = io.StringIO()
    with progress(stream) as watch:
        for event in EVENTS:
            assert watch.handle(event) is None
    lines = stream.getvalue().splitlines()
    assert lines == [
        "data: 600 rows",
        "data: text column guessed: 'message'",
        "training: 600 rows, 2 epochs, 20 steps, 384 of 22.7 M parameters",
        "opened: layers from depth 5 up train (block 3)",
        "epoch 1, step 10: train loss 0.7, accuracy 0.91  best so far  (1 min 40 s left)",
        "training ended: all steps done",
    ]


def test_text_from_the_data_cannot_steer_the_terminal():
    said = describe(StageMessages("data", ("column '\x1b[2J\u202e'",)))
    assert said == ["data: column '\\x1b[2J\\u202e'"]


def test_on_a_terminal_a_bar_shows_the_step_and_the_lines_stay():
    stream = Terminal()
    with progress(stream) as watch:
        for event in EVENTS:
            watch.handle(event)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "step 10/20" in shown
    assert "accuracy 0.91" in shown


def test_the_bar_is_closed_when_the_run_fails():
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), progress(stream) as watch:
        watch.handle(EVENTS[1])
        assert watch.bar.live.is_started
        raise KeyboardInterrupt
    assert not watch.bar.live.is_started


def test_a_resumed_run_says_where_it_continues():
    said = describe(replace(EVENTS[1], resumed_at=7))
    assert said[0].endswith("continued after step 7")
