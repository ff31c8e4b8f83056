"""Whole runs by the command line, in children: what `tunewright fit` and `resume` leave, and how they end."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.engine.toy import toy_rows
from tests.reliability.harness import Ended, Problems, base, ended, in_child, new_folder, start
from tunewright.callbacks.history import read_history
from tunewright.core.files import hash_file, read_json, write_text
from tunewright.core.storage import Storage
from tunewright.training import trainer as loop
from tunewright.training.checkpoint import Checkpoints

_RECIPE = """
data: {{train: {rows}, text: [text], target: [label], near_duplicates: ignore}}
model: {{source: {model}}}
method: full
optimization: {{learning_rate: 1e-3, head_learning_rate: 1e-2}}
training: {{epochs: 4, batch_size: 16, precision: float32, threads: 1}}
evaluation: {{baselines: [], reports: [], certify: false, resamples: 100, monitor: loss}}
seed: {seed}
"""


def recipe_file(folder: Path, seed: int = 0, rows: int = 60) -> Path:
    """A recipe and its rows."""
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(toy_rows(rows))
    path = folder / "recipe.yaml"
    write_text(path, _RECIPE.format(rows=folder / "rows.csv", model=base("bert"), seed=seed))
    return path


def command(*arguments: object, storage: Storage | None = None, at_step: Callable[[int], None] | None = None) -> None:
    """`tunewright …` in this process; ``at_step`` is called in the middle of every optimizer step with its number."""
    from tunewright.cli.main import main

    made, step = [0], loop.optimizer_step

    def counted(*given: Any) -> Any:
        made[0] += 1
        if at_step is not None:
            at_step(made[0])
        return step(*given)

    under = Checkpoints if storage is None else partial(Checkpoints, storage=storage)
    sys.argv = ["tunewright", *map(str, arguments)]
    with patch("tunewright.training.trainer.optimizer_step", counted), patch("tunewright.pipeline.workflow.Checkpoints", under):
        main()


def run(*arguments: object, storage: Storage | None = None, at_step: Callable[[int], None] | None = None) -> Ended:
    return ended(begin(*arguments, storage=storage, at_step=at_step))


def begin(*arguments: object, storage: Storage | None = None, at_step: Callable[[int], None] | None = None) -> tuple[int, Path]:
    return start(lambda: command(*arguments, storage=storage, at_step=at_step))


def made(out: Path) -> dict[str, Any]:
    """What a finished run left that has to be equal."""
    history = [{key: value for key, value in event.items() if key != "seconds"} for event in read_history(out / "history.jsonl")]
    return {
        "weights": hash_file(out / "model" / "model.safetensors"),
        "history": history,
        "status": read_json(out / "manifest.json")["status"],
        "files": sorted(path.name for path in out.iterdir()),
    }


@cache
def whole_run() -> tuple[Path, dict[str, Any]]:
    """The recipe, and what it leaves when nothing happens to it."""
    folder = new_folder()
    recipe = recipe_file(folder)
    end = run("fit", recipe, "--out", folder / "whole")
    assert end.code == 0, end.said
    return recipe, made(folder / "whole")


def resumed(out: Path, *, by: str = "resume") -> Problems:
    """Continue with ``resume`` or ``fit``; what differs from the run to which nothing happened."""
    recipe, wanted = whole_run()
    end = run("resume", out) if by == "resume" else run("fit", recipe, "--out", out)
    if end.code != 0:
        return [f"{by} ended with {end.code}: {end.said[-400:]}"]
    found = made(out)
    return [f"{key} differs" for key in wanted if found[key] != wanted[key]]


def interrupted(step: int = 5) -> Path:
    """The folder of a run that Ctrl-C ended in the middle of a step; it has a checkpoint."""
    import os
    import signal

    recipe, _ = whole_run()
    out = new_folder() / "run"
    end = run("fit", recipe, "--out", out, at_step=lambda at: os.kill(os.getpid(), signal.SIGINT) if at == step else None)
    assert end.code == 130, end
    return out


__all__ = ["begin", "command", "in_child", "interrupted", "made", "recipe_file", "resumed", "run", "whole_run"]
