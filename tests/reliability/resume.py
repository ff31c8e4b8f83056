"""Resume is exact: weights, buffers, optimizer, random states, rows of each step, rates, losses and history, bit for bit.

Six trainings are interrupted at four moments each; the rest are single cases. There are no worker processes and no weighted
sampler here: augmented pictures and gradual unfreezing stand in their places, and kept features that were deleted in that of
another number of workers.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from tests.reliability import command
from tests.reliability.harness import (
    Problems,
    Training,
    continued,
    expecting,
    in_child,
    new_folder,
    sending,
    train,
    whole,
    within_step,
)
from tunewright.callbacks.history import read_history
from tunewright.core.files import hash_file

TERM, KILL = sending(signal.SIGTERM), sending(signal.SIGKILL)

# Three steps to an epoch, each.
TRAININGS = {
    "plain": Training(),
    "accumulated": Training({"training": {"batch_size": 4, "gradient_accumulation_steps": 4}}),
    "lora_with_dropout": Training({"method": {"name": "lora", "dropout": 0.3}, "model": {"dropout": 0.2}}),
    "plateau_and_patience": Training(
        {
            "optimization": {"learning_rate": 0.02, "head_learning_rate": 0.02, "schedule": {"name": "plateau", "patience": 1}},
            "training": {"epochs": 12, "early_stopping_patience": 3},
        }
    ),
    "augmented_pictures": Training({"data": {"augmentation": {"horizontal_flip": 0.5, "crop_scale": 0.5}}}, pictures=True),
    "gradual_unfreezing": Training({"unfreezing": "gradual", "model": {"dropout": 0.2}, "training": {"epochs": 6}}),
}
OTHERS = {
    "cosine": Training({"optimization": {"schedule": {"name": "cosine", "warmup": 0.2}}}),
    "one_cycle": Training({"optimization": {"schedule": "one_cycle"}, "model": {"dropout": 0.2}}),
    "averaged": Training({"averaging": ("ema", "soup")}),
    "drawn_back": Training({"regularizers": ({"name": "l2_sp", "alpha": 0.5},)}),
    "gradual_unfreezing_uncached": Training(
        {"unfreezing": "gradual", "model": {"dropout": 0.2}, "training": {"epochs": 6, "cache": False}}
    ),
    "unfreezing_by_plateau": Training({"unfreezing": "plateau", "training": {"epochs": 6}}),
    "more_stages_than_steps": Training({"unfreezing": "gradual", "training": {"epochs": 2, "batch_size": 16}}),
    "momentum": Training({"optimization": {"learning_rate": 0.05, "head_learning_rate": 0.05, "optimizer": "sgd"}}),
    "factored_moments": Training({"optimization": {"optimizer": "adafactor"}}),
    "steps_before_the_end_of_an_epoch": Training({"training": {"max_steps": 8}}),
    "frozen": Training({"method": "frozen", "model": {"pooling": "mean"}}),
    "time_budget": Training({"training": {"budget_seconds": 750.0}, "optimization": {"schedule": "cosine"}}, clock=True),
}
CASES: dict[str, Callable[[], Problems]] = {}


def case(run: Callable[[], Problems]) -> Callable[[], Problems]:
    CASES[run.__name__] = run
    return run


def interrupted(training: Training, *steps: int) -> Problems:
    """SIGTERM in the middle of a step, of each life one, then on to the end."""
    folder, problems = new_folder(), []
    for step in steps:
        end = in_child(lambda step=step: train(training, folder, prepare=within_step(step, TERM)))
        problems += expecting(end, 143)
    return problems + continued(training, folder)


def killed(training: Training, step: int, passes: int = 1) -> Problems:
    """SIGKILL within a step: what was done since the last checkpoint is done again."""
    folder = new_folder()
    end = in_child(lambda: train(training, folder, prepare=within_step(step, KILL, passes)))
    return expecting(end, -signal.SIGKILL) + continued(training, folder)


def _moments(training: Training) -> dict[str, Callable[[], Problems]]:
    return {
        "amid_an_epoch": lambda: interrupted(training, 5),
        "at_the_end_of_an_epoch": lambda: interrupted(training, 6),
        "at_the_last_step": lambda: interrupted(training, whole(training)["steps"]),
        "within_a_step": lambda: killed(training, 8, training.sections.get("training", {}).get("accumulate", 1)),
    }


CASES |= {f"{name}_{moment}": run for name, training in TRAININGS.items() for moment, run in _moments(training).items()}


@case
def twice_in_one_epoch() -> Problems:
    return interrupted(TRAININGS["lora_with_dropout"], 4, 1)


@case
def three_times() -> Problems:
    return interrupted(TRAININGS["accumulated"], 2, 3, 2)


@case
def other_rows_are_refused() -> Problems:
    recipe = command.recipe_file(new_folder())
    out = new_folder() / "run"
    command.run("fit", recipe, "--out", out, at_step=lambda at: os.kill(os.getpid(), signal.SIGINT) if at == 5 else None)
    rows = recipe.with_name("rows.csv")
    rows.write_text(rows.read_text().replace("card", "cart"))
    problems = expecting(command.run("resume", out), 2, "rows of", "changed")
    return problems + expecting(command.run("fit", recipe, "--out", out), 2, "unfinished run of something else: the rows changed")


@case
def another_recipe_is_refused() -> Problems:
    out = command.interrupted()
    recipe, _ = command.whole_run()
    said = "optimization.head_learning_rate: 0.01 then, 0.02 now"
    end = command.run("fit", recipe, "--out", out, "--set", "optimization.head_learning_rate=0.02")
    problems = expecting(end, 2, "unfinished run of something else", said)
    own = out / "recipe.yaml"
    before = own.read_text()
    own.write_text(before.replace("head_learning_rate: 0.01", "head_learning_rate: 0.02"))
    problems += expecting(
        command.run("resume", out), 2, "of another run (optimization.head_learning_rate: 0.01 there, 0.02 here)"
    )
    own.write_text(before)
    return problems + command.resumed(out)  # and nothing was lost by asking


@case
def kept_features_were_deleted() -> Problems:
    """In place of 'another number of workers'."""
    training, folder, cache = TRAININGS["gradual_unfreezing"], new_folder(), new_folder()
    with patch.dict(os.environ, TUNEWRIGHT_CACHE=str(cache)):
        problems = expecting(in_child(lambda: train(training, folder, prepare=within_step(5, TERM))), 143)
        problems += [] if list(cache.iterdir()) else ["nothing was kept"]
        shutil.rmtree(cache)
        return problems + continued(training, folder)


@case
def a_finished_run_is_left_as_it_is() -> Problems:
    out = command.interrupted()
    problems = command.resumed(out)
    before = _content(out)
    problems += expecting(command.run("resume", out), 0)
    return problems + ([] if _content(out) == before else ["the finished run was changed"])


def _content(folder: Path) -> dict[str, tuple[str, int]]:
    return {str(path): (hash_file(path), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def _other(training: Training) -> Callable[[], Problems]:
    return lambda: interrupted(training, 2, 3) + killed(training, min(8, whole(training)["steps"]))


CASES |= {name: _other(training) for name, training in OTHERS.items()}


@case
def fit_continues_by_itself() -> Problems:
    return command.resumed(command.interrupted(), by="fit")


@case
def killed_before_anything_was_saved() -> Problems:
    recipe, _ = command.whole_run()
    out = new_folder() / "run"
    end = command.run("fit", recipe, "--out", out, at_step=lambda at: KILL() if at == 2 else None)
    return expecting(end, -signal.SIGKILL) + command.resumed(out, by="fit")


@case
def killed_while_the_results_are_written() -> Problems:
    """Training is over, the model is half-written: nothing is trained again, and nothing half-written stays."""
    recipe, _ = command.whole_run()
    out = new_folder() / "run"

    def dying(*_: object, **__: object) -> None:
        KILL()

    with patch("tunewright.artifacts.model_folder._sync", dying):
        end = command.run("fit", recipe, "--out", out)
    if not list(out.glob(".model.*")):
        return ["nothing was half-written"]
    lines = len(read_history(out / "history.jsonl"))
    problems = expecting(end, -signal.SIGKILL) + command.resumed(out)
    return problems + ([] if len(read_history(out / "history.jsonl")) == lines else ["history was written again"])


@case
def other_weights_of_the_base_are_refused() -> Problems:
    folder = new_folder()
    recipe = command.recipe_file(folder)
    model = shutil.copytree(command.base("bert"), folder / "model")
    recipe.write_text(recipe.read_text().replace(str(command.base("bert")), str(model)))
    out = new_folder() / "run"
    command.run("fit", recipe, "--out", out, at_step=lambda at: TERM() if at == 5 else None)
    content = bytearray((model / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (model / "model.safetensors").write_bytes(bytes(content))
    return expecting(command.run("resume", out), 2, "its weights' hash differs")
