"""The runs of a study: each in a folder of its name, made once however often the study is begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.analysis.evidence import Report
from tunewright.analysis.html_page import write_report
from tunewright.analysis.report_html import report_html
from tunewright.artifacts.run_folder import new_folder
from tunewright.config.reader import check_part, merge, resolve
from tunewright.config.recipe import Choice, Recipe
from tunewright.core.differences import changed_since
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.registry import load_part
from tunewright.core.types import Score
from tunewright.metrics._columns import load_metric
from tunewright.pipeline.steps import InMemoryData
from tunewright.pipeline.workflow import fit_recipe, load
from tunewright.runs.run import Run
from tunewright.training.callback import Callback, checked, notify
from tunewright.training.events import StageMessages

_ASKED = "study.json"
_BARE = {
    "training": {"checkpoints": False},
    "evaluation": {"certify": False, "reports": (), "baselines": (), "max_forgetting": None},
    "out": None,
}


@dataclass(frozen=True)
class Trials:
    """What a study may run: a recipe, its rows, and where the runs are kept."""

    recipe: Recipe
    given: InMemoryData
    folder: Path
    callbacks: tuple[Callback, ...] = ()

    def run(self, name: str, changes: Mapping[str, Any]) -> Run:
        """The recipe with some settings changed, as a finished run; a section that names a part takes its place."""
        place = self.folder / "runs" / name
        if (place / "manifest.json").is_file() and (done := load(place)).finished:
            return done
        notify(self.callbacks, StageMessages("run", (name,)))
        asked = merge(merge(self.recipe.model_dump(mode="json", exclude_unset=True), _BARE), changes)
        return fit_recipe(resolve(asked | {"out": str(place)}), given=self.given, callbacks=self.callbacks)


@dataclass(frozen=True)
class Study:
    """A study's folder and what came out."""

    folder: Path
    report: Report

    def _repr_html_(self) -> str:
        return report_html(self.report.as_dict(), self.folder.name)


def make_study(
    name: str,
    recipe: Recipe,
    settings: Mapping[str, Any],
    *,
    given: InMemoryData | None = None,
    callbacks: Sequence[Callback] = (),
) -> Study:
    """Make the runs of a study, or those that are still missing in its folder, and write its page."""
    check_part("studies", "study", Choice(name=name, settings=dict(settings)))
    part = load_part("studies", name)
    chosen = part.Settings(**settings)
    asked = {"study": name, "settings": chosen.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json")}
    folder = _folder(recipe, name, asked)
    report: Report = part.study(Trials(recipe, given or InMemoryData(), folder, checked(callbacks)), chosen)
    entry = report.as_dict() | {"error": None, "seconds": 0.0}
    write_json(folder / "scores.json", {"primary": "", "scores": [], "comparisons": [], "reports": {name: entry}})
    write_report(folder)
    return Study(folder, report)


def _folder(recipe: Recipe, name: str, asked: dict[str, Any]) -> Path:
    out = None if recipe.out is None else Path(recipe.out).expanduser()
    if out is None or not (out / _ASKED).is_file():
        folder = new_folder(recipe.out, f"study-{name}")
        write_json(folder / _ASKED, asked)
        return folder
    changed = changed_since(read_json(out / _ASKED), asked)
    if changed:
        raise UserError(f"the folder '{out}' holds another study: {'; '.join(changed)}", try_="another --out")
    return out


def primary(run: Run) -> Score:
    """A run's first score; UserError where it is undefined."""
    name = read_json(run.folder / "scores.json")["primary"]
    found = next(one for one in run.scores if one.name == name)
    if found.value is None:
        raise UserError(f"{name} is undefined on the test rows of '{run.folder}'", expected="test rows on which it can be told")
    return found


def is_better(first: float, second: float, metric: str) -> bool:
    """Whether the first of two values of a metric is at least as good."""
    return first >= second if load_metric(metric).HIGHER_IS_BETTER else first <= second


def max_train_samples(run: Run) -> int:
    """How many rows it learned from."""
    return int(read_json(run.folder / "data.json")["rows"]["train"])
