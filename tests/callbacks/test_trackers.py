"""Trackers with the real libraries: what they hold equals ``history.jsonl``, and their runs are closed however ours ends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunewright
from tests.callbacks import stores
from tests.engine.toy import toy_rows
from tests.listener import Listener
from tunewright.callbacks.history import read_events, read_history
from tunewright.callbacks.named import named_callbacks
from tunewright.callbacks.tracker import Guarded, Tracker
from tunewright.config.recipe import Choice
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.pipeline.workflow import make_recipe
from tunewright.training.events import EvaluationEnd, RunBegin, Status, StepEnd

pytestmark = pytest.mark.filterwarnings("default")  # other people's libraries warn as they like

LIBRARIES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb", "trackio": "trackio"}
TRACKERS = ("python_logger", *LIBRARIES)


def present(name: str) -> bool:
    return name not in LIBRARIES or find_spec(LIBRARIES[name]) is not None


def choices(place: Path) -> list[dict[str, Any]]:
    """All trackers whose library is here, as a recipe names them."""
    settings = {"mlflow": {"uri": str(place / "mlruns")}, "wandb": {"mode": "offline"}}
    return [{"name": name, **settings.get(name, {})} for name in TRACKERS if present(name)]


def stored(name: str, run: Path, place: Path) -> tuple[stores.Numbers, str]:
    """The numbers and the status in a tracker's own store."""
    match name:
        case "tensorboard":
            return stores.tensorboard(run / "tensorboard")
        case "mlflow":
            return stores.mlflow(place / "mlruns", read_json(run / "trackers" / "mlflow.json")["id"])
        case "wandb":
            return stores.wandb(run / "wandb")
        case "trackio":
            return stores.trackio(place / "trackio" / "tunewright.db", read_json(run / "trackers" / "trackio.json")["id"])
    return stores.python_logger(run / "training.log")


def wanted(run: Path) -> stores.Numbers:
    """The numbers of ``history.jsonl`` under the trackers' names."""
    found: stores.Numbers = {}
    for line in read_history(run / "history.jsonl"):
        step = line["step"]
        if line["kind"] == "step":
            found[step, "train/loss"], found[step, "train/epoch"] = line["loss"], line["epoch"]
            found[step, "train/grad_norm"] = line["grad_norm"]
            found |= {(step, f"train/learning_rate/depth_{depth}"): rate for depth, rate in line["rate"].items()}
        elif line["kind"] == "evaluation":
            found[step, "train/mean_loss"] = line["train_loss"]
            found |= {(step, f"validation/{name}"): value for name, value in line["scores"].items()}
        else:
            found[step, "train/unfrozen_from_depth"] = line["open_from"]
    return {key: value for key, value in found.items() if value is not None}


def fit(base: Path, out: Path, **more: Any) -> tunewright.Run:
    sections = {"training": {"epochs": 2, "batch_size": 8, "threads": 1}, "data": {"near_duplicates": "ignore"}}
    evaluation = {"certify": False, "resamples": 100, "reports": (), "baselines": ()}
    rows = toy_rows(36)
    return tunewright.fit(
        rows, model=str(base), target="label", method="full", out=out, evaluation=evaluation, **sections, **more
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stores lie that are not in the run's folder."""
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(folder / "trackio"))  # read when the library is imported
        if present("trackio"):
            import trackio  # noqa: F401
    return folder


@pytest.fixture(scope="module")
def finished(tiny_bert: Path, place: Path) -> Path:
    return fit(tiny_bert, place / "finished", callbacks=choices(place)).folder


@pytest.fixture(scope="module")
def interrupted(tiny_bert: Path, place: Path) -> tuple[Path, dict[str, str]]:
    """A run that ends at step 5, two steps after its last checkpoint, and is resumed; and the statuses in between."""

    def interrupt(event: dict[str, Any]) -> None:
        if event["kind"] == "step" and event["step"] == 5:
            raise KeyboardInterrupt

    out = place / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_bert, out, callbacks=[Listener(interrupt), *choices(place)])
    between = {name: stored(name, out, place)[1] for name in TRACKERS if present(name)}
    tunewright.resume(out)
    return out, between


@pytest.mark.parametrize("name", TRACKERS)
def test_the_numbers_are_those_of_the_history(name: str, finished: Path, place: Path) -> None:
    if not present(name):
        pytest.skip(f"{LIBRARIES[name]} is not installed")
    found, status = stored(name, finished, place)
    test = {key: value for key, value in found.items() if key[1].startswith("test/")}
    history = {key: value for key, value in found.items() if key not in test}
    expected = wanted(finished)
    assert len(expected) > 20
    assert history == ({key: float(np.float32(value)) for key, value in expected.items()} if name == "tensorboard" else expected)
    assert {key[1] for key in test} >= {"test/accuracy"}
    assert status == "finished"


@pytest.mark.parametrize("name", TRACKERS)
def test_an_interrupted_run_is_closed_as_such_and_continued(
    name: str, interrupted: tuple[Path, dict[str, str]], place: Path
) -> None:
    if not present(name):
        pytest.skip(f"{LIBRARIES[name]} is not installed")
    out, between = interrupted
    assert between[name] == "interrupted"
    found, status = stored(name, out, place)
    history = {key: value for key, value in found.items() if not key[1].startswith("test/")}
    assert status == "finished"
    expected = wanted(out)
    assert history == ({key: float(np.float32(value)) for key, value in expected.items()} if name == "tensorboard" else expected)


def test_history_reads_back_typed(finished: Path) -> None:
    events = read_events(finished / "history.jsonl")
    assert [event.to_dict() for event in events] == read_history(finished / "history.jsonl")
    assert {StepEnd, EvaluationEnd} <= {type(event) for event in events}


class Broken(Tracker):
    """Breaks where it is asked to."""

    name = "broken"

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at, self.told, self.status = at, 0, ""

    def begin(self, event: RunBegin) -> None:
        self._break("begin")

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self.told += 1
        self._break("log")

    def end(self, status: Status) -> None:
        self.status = status
        self._break("end")

    def _break(self, at: str) -> None:
        if self.at == at:
            raise ConnectionError("the server is gone")


def test_a_broken_tracker_warns_once_and_the_run_goes_on(tiny_bert: Path, tmp_path: Path, caplog: Any) -> None:
    trackers = [Broken(at) for at in ("begin", "log", "end")]
    run = fit(tiny_bert, tmp_path / "run", callbacks=[Guarded(one) for one in trackers])
    assert run.finished
    assert [one.status for one in trackers] == ["finished"] * 3
    assert (trackers[0].told, trackers[1].told) == (1, 2)  # the last time for the test scores, when it is closed
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("broken stopped logging (ConnectionError: the server is gone)" in one for one in warnings) == 3


def test_negative_control_an_unguarded_one_ends_the_run_as_failed(tiny_bert: Path, tmp_path: Path) -> None:
    tracker = Broken("log")
    with pytest.raises(ConnectionError):
        fit(tiny_bert, tmp_path / "run", callbacks=[tracker])
    assert tracker.status == "failed"
    assert read_json(tmp_path / "run" / "manifest.json")["status"] == "failed"


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named_with_its_command_before_anything_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    with pytest.raises(UserError, match=rf"'{LIBRARIES[name]}', which is not installed.*pip install 'tunewright\[{name}\]'"):
        named_callbacks([Choice(name=name)])


def test_a_wrong_name_shows_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'tensorboard'"):
        make_recipe("rows.csv", target="label", callbacks=["tensorbord"])
