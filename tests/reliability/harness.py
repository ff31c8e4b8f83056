"""What the cases share: small trainings, children forked after the imports, and what a training left behind.

A child is a process of its own: it can be killed, it has its exit code, and nothing that it does to the modules reaches the next.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.engine.toy import toy_rows
from tests.listener import Listener
from tunewright.callbacks.early_stopping import EarlyStopping
from tunewright.callbacks.history import History, read_history
from tunewright.core.errors import UserError
from tunewright.core.files import hash_json, read_json
from tunewright.core.seed import seed_everything
from tunewright.core.storage import DISK, Storage
from tunewright.models.tiny import tiny_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.steps import InMemoryData, apply_method, initialize, make_job, prepare_rows, set_up, train_features
from tunewright.pipeline.workflow import make_recipe
from tunewright.training import trainer as loop
from tunewright.training.checkpoint import Checkpoints
from tunewright.training.checkpoint_folder import folders, verify
from tunewright.training.context import TrainingContext
from tunewright.training.interrupts import Interrupted

SECONDS = 120  # that a child may take before it counts as hanging

Problems = list[str]  # what a case found wrong; empty where all is well
Prepare = Callable[[TrainingContext], None]


@dataclass(frozen=True)
class Training:
    """A small training: the recipe's sections, on texts or on pictures."""

    sections: dict[str, Any] = field(default_factory=dict)
    pictures: bool = False
    rows: int = 48
    clock: bool = False  # time goes on by 100 seconds with every step, and not otherwise

    @property
    def key(self) -> str:
        return hash_json([self.sections, self.pictures, self.rows, self.clock])


@cache
def root() -> Path:
    """A folder for everything that the cases write."""
    return Path(tempfile.mkdtemp(prefix="tunewright-reliability-"))


@cache
def base(family: str) -> Path:
    """A tiny random model."""
    make = tiny_image_model if family == "resnet" else tiny_model
    return make(family, root() / "models" / family)


@cache
def warm() -> None:
    """Train once in this process, so that its children need not import anything."""
    for training in (Training(), Training(pictures=True, rows=16)):
        train(training, new_folder())


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(dir=root()))


def job_of(training: Training, folder: Path, storage: Storage = DISK) -> TrainingContext:
    """The training as the workflow would set it up, its checkpoints and history in ``folder``."""
    defaults: dict[str, dict[str, Any]] = {
        "data": {"near_duplicates": "ignore"},
        "model": {"source": str(base("resnet" if training.pictures else "bert"))},
        "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2, "schedule": {"name": "constant"}},
        "training": {"epochs": 4, "batch_size": 12, "precision": "float32", "threads": 1},
        "evaluation": {"baselines": (), "certify": False},
    }
    given = {key: {**defaults[key], **value} if key in defaults else value for key, value in training.sections.items()}
    sections = {**defaults, **given}
    sections |= {} if "strategy" in sections or "method" in sections else {"method": "full"}
    named = {} if training.pictures else {"target": "label", "text": "text"}
    recipe = make_recipe(**named, **sections)
    rows = _pictures(training.rows) if training.pictures else toy_rows(training.rows)
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows)))
    applied = apply_method(setup)
    initialize(setup, applied, train_features(setup))
    patience = recipe.training.early_stopping_patience
    callbacks = (History(folder / "history.jsonl"), *(() if patience is None else (EarlyStopping(patience),)))
    checkpoints = Checkpoints(folder / "checkpoints", recipe.model_dump(mode="json"), setup.prepared.data_hash, storage)
    return make_job(setup, applied, callbacks, checkpoints)


def _pictures(count: int) -> tuple[np.ndarray, list[str]]:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 90, (count, 20, 24, 3)).astype(np.uint8)
    pixels[1::2, :, :12] += 120
    return pixels, ["left" if place % 2 else "none" for place in range(count)]


def train(training: Training, folder: Path, storage: Storage = DISK, prepare: Prepare | None = None) -> None:
    """Train in this process, from the newest checkpoint where there is one, and write down what came out."""
    job = job_of(training, folder, storage)
    resume = bool(folders(folder / "checkpoints"))
    said: list[str] = []
    with (folder / "rows.jsonl").open("a") as rows, _recording(rows, training.clock):
        if prepare is not None:
            prepare(job)
        object.__setattr__(job, "callbacks", (*job.callbacks, Listener(lambda event: said.extend(_said(event)))))
        seed_everything(999 if resume else job.recipe.seed)  # what is not restored, differs
        trained = loop.train(job, resume=resume)
    weights = hash_json({name: tensor.tolist() for name, tensor in job.network.state_dict().items()})
    (folder / "end.json").write_text(json.dumps({"weights": weights, "steps": trained.steps, "reason": trained.reason}))
    (folder / "said.json").write_text(json.dumps(said))


def _said(event: dict[str, Any]) -> list[str]:
    return list(event["messages"]) if event["kind"] == "messages" else []


@contextmanager
def _recording(rows: Any, clock: bool) -> Iterator[None]:
    """Write the numbers of the rows of every step that was made."""
    step, seconds = loop.optimizer_step, [0.0]

    def recorded(job: TrainingContext, optimizer: Any, window: list[np.ndarray], regularizers: Any) -> Any:
        out = step(job, optimizer, window, regularizers)
        rows.write(json.dumps([part.tolist() for part in window]) + "\n")
        rows.flush()
        seconds[0] += 100
        return out

    time = SimpleNamespace(monotonic=lambda: seconds[0]) if clock else loop.time
    with patch.object(loop, "optimizer_step", recorded), patch.object(loop, "time", time):
        yield


def within_step(number: int, act: Callable[[], None], passes: int = 1) -> Prepare:
    """``act`` in the ``number``-th step that a process makes, when that many of its passes have gone through the network."""

    def prepare(job: TrainingContext) -> None:
        step, losses, made = loop.optimizer_step, job.head.losses, [0, 0]

        def counted_step(*given: Any) -> Any:
            made[0], made[1] = made[0] + 1, 0
            return step(*given)

        def counted_losses(*given: Any) -> Any:
            made[1] += 1
            if made == [number, passes]:
                act()
            return losses(*given)

        loop.optimizer_step = counted_step
        job.head.losses = counted_losses  # type: ignore[attr-defined]

    return prepare


def sending(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, below 0 the signal that killed it, and what it wrote."""

    code: int
    said: str


def in_child(work: Callable[[], object]) -> Ended:
    """Run ``work`` in a process of its own; exit codes are those of the command line."""
    return ended(start(work))


def start(work: Callable[[], object]) -> tuple[int, Path]:
    """Begin a child; returns its number and where it writes."""
    warm()
    written = new_folder() / "written"
    child = os.fork()
    if child:
        return child, written
    code = 1
    try:
        signal.alarm(SECONDS)
        handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        code = _code(work)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _code(work: Callable[[], object]) -> int:
    try:
        work()
    except Interrupted as stop:
        return 128 + stop.signal
    except UserError as error:
        sys.stdout.write(f"{error}\n")
        return 2
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def ended(child: tuple[int, Path]) -> Ended:
    _, status = os.waitpid(child[0], 0)
    return Ended(os.waitstatus_to_exitcode(status), child[1].read_text() if child[1].is_file() else "")


def left(folder: Path) -> dict[str, Any]:
    """What a finished training left: weights, the last checkpoint's tensors, history, the rows of each step."""
    newest = folders(folder / "checkpoints")[0]
    state = read_json(newest / "state.json")
    files = {name: about["sha256"] for name, about in verify(newest)["files"].items() if name.endswith(".safetensors")}
    history = [
        {key: value for key, value in event.items() if key != "seconds"} for event in read_history(folder / "history.jsonl")
    ]
    return {
        **read_json(folder / "end.json"),
        **files,
        "state": {key: value for key, value in state.items() if key != "seconds"},
        "history": history,
        "steps in history": [event["step"] for event in history if event["kind"] == "step"],
        "half-written": sorted(path.name for path in (folder / "checkpoints").iterdir() if path.name.startswith(".")),
    }


@cache
def _whole(key: str) -> dict[str, Any]:
    folder = new_folder()
    end = in_child(lambda: train(_TRAININGS[key], folder))
    assert end.code == 0, end.said
    found = left(folder)
    found["rows"] = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert found["steps in history"] == list(range(1, found["steps"] + 1))
    assert len(found["rows"]) == found["steps"]
    return found


_TRAININGS: dict[str, Training] = {}


def whole(training: Training) -> dict[str, Any]:
    """What the training leaves when nothing happens to it; made once."""
    warm()
    _TRAININGS[training.key] = training
    return _whole(training.key)


def unequal(training: Training, folder: Path) -> Problems:
    """What differs between what is in ``folder`` and the training to which nothing happened."""
    wanted = whole(training)
    found = left(folder)
    problems = [f"{key} differs" for key in found if found[key] != wanted[key]]
    # Rows are written as steps are made: those of the last life are a tail of all, those of the first a head.
    lives = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    if any(rows not in wanted["rows"] for rows in lives) or (lives and lives[-1] != wanted["rows"][-1]):
        problems.append("the rows of the steps differ")
    return problems


def continued(training: Training, folder: Path, prepare: Prepare | None = None) -> Problems:
    """Go on in a new process, to the end; what differs from the training to which nothing happened."""
    end = in_child(lambda: train(training, folder, prepare=prepare))
    if end.code != 0:
        return [f"the next start ended with {end.code}: {end.said[-400:]}"]
    return unequal(training, folder)


def missed_without(watching: Callable[[], Problems], defences: Sequence[Any]) -> Problems:
    """What is wrong where a case finds nothing although the defences are patched away."""
    with ExitStack() as patched:
        for defence in defences:
            patched.enter_context(defence)
        found = watching()
    return [] if found else ["the case found nothing"]


def expecting(end: Ended, code: int, *said: str) -> Problems:
    """Problems where a child ended otherwise, or did not say what it should."""
    problems = [] if end.code == code else [f"exit code {end.code}, not {code}: {end.said[-400:]}"]
    return problems + [f"'{text}' is not said in: {end.said[-400:]}" for text in said if text not in end.said]
