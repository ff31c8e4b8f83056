"""A package that adds a method, a metric, a report, a task and a command by entry points; its run lives on in other processes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunewright.models.tiny import tiny_model

PACKAGE = Path(__file__).parent / "support" / "thirdparty"

FIT = """
import json, os, sys
import tunewright
from tunewright.training.callback import Callback
from tunewright.core.registry import load_part, name_of
model, rows, out = sys.argv[1:]
assert name_of("tasks", load_part("tasks", "Urgency")) == "urgency"

class Stop(Callback):
    def on_step_end(self, event):
        if event.step == 3:
            raise KeyboardInterrupt

plain = dict(model=model, target="degree", task="urgency", method={"name": "every-other-layer", "every": 2}, seed=0)
plain |= dict(training={"epochs": 2, "batch_size": 8, "checkpoint_steps": 1, "threads": 1, "precision": "float32"})
tunewright.fit(rows, out=out + "/whole", **plain)
try:
    tunewright.fit(rows, out=out + "/stopped", callbacks=[Stop()], **plain)
except KeyboardInterrupt:
    pass
"""

AGAIN = """
import json, sys
import tunewright
from tunewright.core.files import read_json, read_tensors
from tunewright.pipeline.workflow import reproduce
out = sys.argv[1]
assert not tunewright.load(out + "/stopped").finished
whole, stopped = tunewright.load(out + "/whole"), tunewright.resume(out + "/stopped")
first, second = (read_tensors(run.folder / "model" / "model.safetensors") for run in (whole, stopped))
scores = read_json(whole.folder / "scores.json")
print("FOUND", json.dumps({
    "task": whole.model.labels.task,
    "saved": [read_json(whole.folder / "model" / "tunewright.json")[key] for key in ("head", "method")],
    "reports": {name: one["error"] for name, one in scores["reports"].items()},
    "metrics": sorted({one["name"] for one in scores["scores"]}),
    "certified": whole.manifest["certified"]["equal"],
    "resumed": all(bool((first[name] == second[name]).all()) for name in first),
    "reproduced": reproduce(whole.folder, out=out + "/again").equal,
    "predictions": len(whole.predict(["very urgent", "not at all"])),
}))
"""


def python(*arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
    """A fresh process in which the package is installed, or is not."""
    folders = [str(PACKAGE)] if installed else []
    path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "TUNEWRIGHT_STRICT": "1"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run and an interrupted one, both made of the package's parts."""
    folder = tmp_path_factory.mktemp("thirdparty")
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "degree"))
        writer.writerows((f"word{number} is {'very ' * (number % 4)}urgent", number % 4 + 0.25) for number in range(40))
    model = tiny_model("bert", folder / "bert")
    done = python("-c", FIT, str(model), str(folder / "rows.csv"), str(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_run_is_reloaded_resumed_reproduced_and_certified_in_a_fresh_process(runs: Path) -> None:
    done = python("-c", AGAIN, str(runs))
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.partition("FOUND")[2].splitlines()[0])
    assert found["task"] == "urgency"
    assert found["saved"] == ["urgency", "every_other_layer"]
    assert found["reports"]["largest_errors"] is None
    assert "share_within_one" in found["metrics"]
    assert found["certified"] is found["resumed"] is found["reproduced"] is True
    assert found["predictions"] == 2


def test_without_the_package_the_run_is_refused_by_the_part_it_lacks(runs: Path) -> None:
    done = python("-m", "tunewright", "evaluate", str(runs / "whole"), str(runs / "rows.csv"), installed=False)
    assert done.returncode == 2
    assert "'urgency' is not known" in done.stderr


def test_commands_and_lists_follow() -> None:
    assert python("-m", "tunewright", "greet", "Ada").stdout == "hello Ada\n"
    assert "No such command 'greet'" in python("-m", "tunewright", "greet", "Ada", installed=False).stderr
    assert "urgency" in python("-m", "tunewright", "parts", "tasks", "--json").stdout
    assert "urgency" not in python("-m", "tunewright", "parts", "tasks", "--json", installed=False).stdout
