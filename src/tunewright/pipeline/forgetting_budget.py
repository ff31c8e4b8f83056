"""A run that may forget only so much: what was asked, then one remedy after another, until one stays within the budget.

Each attempt is a whole run of its own, in a folder beside the run's; the one that is taken becomes the run.
Source: lower rates and weights pulled to their start: Li, Grandvalet and Davoine 2018; the line between start and end: Wortsman
et al. 2022; fewer open layers and low-rank updates: Biderman et al. 2024, LoRA learns less and forgets less; rows of the
references that do not measure, mixed into training: Robins 1995.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.analysis.evidence import Chart, Grid, Report
from tunewright.analysis.html_page import write_report
from tunewright.analysis.model_card import write_card
from tunewright.analysis.reporting import keep_reports
from tunewright.artifacts.run_folder import check_free, new_folder
from tunewright.config.reader import is_undecided, merge, resolve
from tunewright.config.recipe import Choice, Recipe
from tunewright.core.differences import changed_since
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.pipeline.auto_strategy import as_decided
from tunewright.runs.run import Run
from tunewright.strategies import load_strategy

_ASKED = "asked.json"
_SLOWER = 4.0  # times lower rates (a guess)
_MIDDLE = 0.5  # of the line from start to end (Wortsman et al. 2022, section 3: good without a choice)


@dataclass(frozen=True)
class Attempt:
    """A run that was tried: its score, the most that it lost on a reference, and what it took."""

    name: str
    folder: Path
    score: float | None
    forgotten: float | None
    trained: int
    kwh: float

    def within(self, budget: float) -> bool:
        return self.forgotten is not None and self.forgotten <= budget


def begin(recipe: Recipe, asked: dict[str, Any]) -> Path:
    """The run's folder, still empty; attempts of the same recipe that were interrupted stand beside it."""
    if recipe.out is not None:
        check_free(Path(recipe.out).expanduser())
    folder = new_folder(recipe.out, f"{Path(recipe.data.train or 'rows').stem}-{recipe.strategy or recipe.method.name}")
    known = attempts_of(folder) / _ASKED
    if known.is_file() and (changed := changed_since(read_json(known), asked)):
        said = "; ".join(changed)
        raise UserError(f"'{known.parent}' holds attempts of something else: {said}", try_="another --out, or remove the folder")
    write_json(known, asked)
    return folder


def attempts_of(folder: Path) -> Path:
    """Where what was tried for a run is kept."""
    return folder.with_name(f"{folder.name}-attempts")


def fit_within(recipe: Recipe, folder: Path, fit: Callable[[Recipe, Path], Run]) -> list[Attempt]:
    """Try the recipe and its remedies until one forgets no more than asked, and make it the run in ``folder`` by one rename.

    ``fit`` runs a recipe in a folder. Where none stays within the budget, the one that forgot least is kept as a failed run.
    """
    budget = recipe.evaluation.max_forgetting
    assert budget is not None
    tried: list[Attempt] = []
    untried: dict[str, str] = {}
    waiting = _recipes(recipe)
    while waiting:
        name, changed = waiting.pop(0)
        place = attempts_of(folder) / name
        try:
            run = fit(changed, place)
        except UserError as error:
            if name != "replay" or (place / "manifest.json").is_file():
                raise
            untried[name] = str(error)  # references of another form, or no rows left to replay
            continue
        tried.append(_looked_at(name, run))
        if len(tried) == 1 and is_undecided(recipe):  # remedies change what was decided for the network
            waiting = _recipes(as_decided(recipe, run.recipe))[1:]
        if tried[-1].within(budget):
            break
    known = [attempt for attempt in tried if attempt.forgotten is not None]
    taken = tried[-1] if tried[-1].within(budget) else min(known or tried, key=lambda one: one.forgotten or 0.0)
    report = _report(tried, untried, taken, budget).as_dict() | {"error": None, "seconds": 0.0}
    keep_reports(taken.folder, {"forgetting_budget": report})
    if not taken.within(budget):
        manifest = read_json(taken.folder / "manifest.json")
        write_json(taken.folder / "manifest.json", manifest | {"status": "failed", "error": failure(tried, budget)})
    taken.folder.rename(folder)
    write_report(folder)
    write_card(folder)
    return tried


def failure(tried: list[Attempt], budget: float) -> str:
    """Why the run has failed, in words."""
    lost = ", ".join(f"{one.name} {'nothing known' if one.forgotten is None else f'{one.forgotten:.3f}'}" for one in tried)
    return f"no attempt forgot as little as max_forgetting = {budget:g}: {lost}"


def _recipes(recipe: Recipe) -> list[tuple[str, Recipe]]:
    """The recipe as asked, and those of its remedies that change anything."""
    asked = merge(recipe.model_dump(mode="json", exclude_unset=True), {"evaluation": {"max_forgetting": None}, "out": None})
    changes = {name: _change(name, recipe) for name in recipe.evaluation.remedies}
    wanted: dict[str, dict[str, Any]] = {"as_asked": {}} | {name: change for name, change in changes.items() if change}
    return [(name, resolve(merge(asked, change))) for name, change in wanted.items()]


def _change(name: str, recipe: Recipe) -> dict[str, Any]:
    """What a remedy changes; nothing where it is in the recipe already or means nothing."""
    optimization = recipe.optimization
    match name:
        case "lower_rates":
            depths = (
                None
                if optimization.learning_rates_by_depth is None
                else [rate / _SLOWER for rate in optimization.learning_rates_by_depth]
            )
            return {
                "optimization": {"learning_rate": optimization.learning_rate / _SLOWER}
                if depths is None
                else {"learning_rates_by_depth": depths}
            }
        case "wise_ft":
            return _added("averaging", recipe.averaging, Choice(name="wise_ft", settings={"alpha": _MIDDLE}))
        case "l2_sp":
            return _added("regularizers", recipe.regularizers, Choice(name="l2_sp"))
        case "fewer_layers":
            return {"strategy": None, "method": {"name": "last_layers"}} if recipe.method.name == "full" else {}
        case "lora":
            low_rank = load_strategy("lora").settings
            change = {"strategy": None, "method": low_rank["method"], "optimization": low_rank.get("optimization", {})}
            return change if recipe.method.name == "full" else {}
        case "replay":
            asked = [choice.settings.get("references", ()) for choice in recipe.evaluation.reports if choice.name == "forgetting"]
            return {} if recipe.data.replay else {"data": {"replay": [file for files in asked for file in files]}}
    raise AssertionError(name)


def _added(key: str, choices: tuple[Choice, ...], more: Choice) -> dict[str, Any]:
    if more.name in [choice.name for choice in choices]:
        return {}
    return {key: [choice.model_dump(mode="json") for choice in (*choices, more)]}


def _looked_at(name: str, run: Run) -> Attempt:
    report = run.reports["forgetting"]
    lost = [one["value"] for one in report["scores"] if one["name"].startswith("forgotten_")]
    defined = [value for value in lost if value is not None]
    primary = read_json(run.folder / "scores.json")["primary"]
    score = next((one.value for one in run.scores if one.name == primary), None)
    trained = sum(layer["trainable"] for layer in run.details["layers"])
    most = max(defined) if defined and len(defined) == len(lost) else None
    return Attempt(name, run.folder, score, most, trained, run.manifest["energy"]["kwh"])


def _report(tried: list[Attempt], untried: dict[str, str], taken: Attempt, budget: float) -> Report:
    rows = [(one.name, one.score, one.forgotten, one.trained, one.kwh * 1000) for one in tried]
    said = f"'{taken.name}' was taken: it forgot {taken.forgotten:.3f} of at most {budget:g}" if taken.within(budget) else ""
    points = tuple((one.forgotten, one.score) for one in tried if one.forgotten is not None and one.score is not None)
    without = [f"'{name}' was not tried: {why}" for name, why in untried.items()]
    return Report(
        said=(f"{said}." if said else f"{failure(tried, budget)}.", *without),
        grids=(Grid("What was tried", ("attempt", "test score", "forgotten", "trained", "Wh"), rows),),
        charts=(Chart("Score and forgetting", "forgotten", "test score", (("attempts", tuple(sorted(points))),)),),
    )
