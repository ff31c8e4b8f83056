"""How transferable each layer is: the lowest layers kept from one network, frozen or tuned, and all above from random weights.

Four curves over how many layers are kept: of the pre-trained network (transferred) and of one trained on these very rows (own),
frozen and tuned. Own layers that do worse when frozen show that neighbors had grown together; transferred ones that do worse
than own ones show how special they are to what they were trained on.
Source: Yosinski et al. 2014, How transferable are features in deep neural networks, section 2 (AnB, AnB+, BnB, BnB+).
When: to choose how much to freeze. When not: one number is enough (strategies partial, gradual-unfreezing).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.evidence import Cell, Chart, Grid, Report
from tunewright.core.types import Score
from tunewright.experiments.trials import Trials, primary

CURVES = {
    "transferred, frozen": ("transferred", True),
    "transferred, tuned": ("transferred", False),
    "own, frozen": ("own", True),
    "own, tuned": ("own", False),
}


class Settings(BaseModel):
    """Which layers, and how the runs are trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: int = Field(1, ge=1, le=20, description="Runs of each point, with the seeds that follow the recipe's.")
    every: int = Field(1, ge=1, description="Keep each so many layers more.")
    rate: float = Field(5e-4, gt=0, lt=1, description="Learning rate of whatever trains (a guess: much of it is random).")
    epochs: int | None = Field(None, ge=1, description="Epochs of every run; None takes the recipe's.")


def study(trials: Trials, settings: Settings) -> Report:
    """The own network first, then each curve's runs."""
    seeds = [trials.recipe.seed + at for at in range(settings.seeds)]
    own = {seed: trials.run(f"own-{seed}", _how(settings, seed, 0, trials, None)) for seed in seeds}
    layers = [layer["name"] for layer in own[seeds[0]].details["layers"][:-1]]
    blocks = len([name for name in layers if name.startswith("block")])
    kept = list(range(settings.every, len(layers) + 1, settings.every))
    found: dict[str, dict[int, list[Score]]] = {}
    for curve, (source, frozen) in CURVES.items():
        found[curve] = {0: [primary(run) for run in own.values()]}
        for many in kept:
            hows = {seed: _how(settings, seed, many, trials, blocks - many + 1 if frozen else None) for seed in seeds}
            if source == "own":
                hows = {seed: how | {"model": {"source": str(own[seed].folder / "model")}} for seed, how in hows.items()}
            word = "frozen" if frozen else "tuned"
            found[curve][many] = [primary(trials.run(f"{source}-{word}-{many}-{seed}", how)) for seed, how in hows.items()]
    metric = found["own, tuned"][0][0].name.replace("_", " ")
    return Report(
        said=_said(found, layers, metric),
        scores=tuple(score for curve in found.values() for scores in curve.values() for score in scores),
        grids=(_grid(found, layers),),
        charts=(_chart(found, metric),),
    )


def _how(settings: Settings, seed: int, kept: int, trials: Trials, open_blocks: int | None) -> dict[str, Any]:
    """A run that keeps the lowest layers and draws the others; all train, or the topmost blocks alone."""
    method: dict[str, Any] = {"name": "full"}
    if open_blocks is not None:
        method = {"name": "last_layers", "k": open_blocks} if open_blocks > 0 else {"name": "frozen"}
    return {
        "strategy": None,
        "seed": seed,
        "method": method,
        "initialization": [{"name": "random_above", "kept": kept}],
        "unfreezing": {"name": "none"},
        "averaging": [],
        "regularizers": [],
        "optimization": {
            "learning_rate": settings.rate,
            "head_learning_rate": settings.rate,
            "layer_decay": 1.0,
            "learning_rates_by_depth": None,
        },
        "training": {} if settings.epochs is None else {"epochs": settings.epochs, "max_train_examples_seen": None},
    }


def _mean(scores: list[Score]) -> float:
    return float(np.mean([one.value for one in scores]))


def _chart(found: dict[str, dict[int, list[Score]]], metric: str) -> Chart:
    lines = tuple((name, _line(curve)) for name, curve in found.items())
    return Chart("Layers kept from the bottom", "layers kept", metric, lines)


def _line(curve: dict[int, list[Score]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(kept), _mean(scores)) for kept, scores in sorted(curve.items()))


def _said(found: dict[str, dict[int, list[Score]]], layers: list[str], metric: str) -> tuple[str, ...]:
    """Where each curve ends, and where the transferred ones are best."""
    most = max(found["own, tuned"])
    said = [f"Everything from random weights: {metric} {_mean(found['own, tuned'][0]):.3f}."]
    for name in ("transferred, frozen", "transferred, tuned"):
        best = max(found[name], key=lambda kept: _mean(found[name][kept]))
        said.append(
            f"{name.capitalize()}: best with {best} of {len(layers)} layers kept ({_mean(found[name][best]):.3f}); "
            f"with {most} {_mean(found[name][most]):.3f}."
        )
    own = {kept: _mean(scores) for kept, scores in found["own, frozen"].items()}
    worst = min(own, key=lambda kept: own[kept])
    said.append(f"Own layers frozen are worst with {worst} kept ({own[worst]:.3f}): there neighbors depend on each other most.")
    return tuple(said)


def _grid(found: dict[str, dict[int, list[Score]]], layers: list[str]) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (kept, "nothing" if kept == 0 else layers[kept - 1], *(_mean(found[name][kept]) for name in CURVES))
        for kept in sorted(found["own, tuned"])
    ]
    return Grid("Scores", ("kept", "up to", *CURVES), rows)
