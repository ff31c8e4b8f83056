"""How the score grows with the training rows, and what twice as many would bring.

Source: error as a power of the number of rows: Cortes et al. 1993, Learning Curves: Asymptotic Values and Rate of Convergence;
Hestness et al. 2017, Deep Learning Scaling Is Predictable, Empirically. A warning: Viering and Loog 2023, The Shape of
Learning Curves, section 6. When: labelling more rows costs something. When not: fewer than a few hundred rows, where
the noise decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.evidence import Chart, Grid, Report
from tunewright.core.types import Score
from tunewright.experiments.trials import Trials, max_train_samples, primary
from tunewright.metrics._columns import load_metric

_DRAWS = 1000  # of the points' own noise


class Settings(BaseModel):
    """Which points."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: int = Field(5, ge=3, le=10, description="Numbers of rows, each half of the next, all rows the last (a guess).")
    seeds: int = Field(1, ge=1, le=20, description="Runs of each number, with the seeds that follow the recipe's.")


def study(trials: Trials, settings: Settings) -> Report:
    """A run for each number of rows and seed, a curve through them, and where it goes."""
    seed = trials.recipe.seed
    whole = [trials.run(f"all-{seed + at}", {"seed": seed + at}) for at in range(settings.seeds)]
    most = max_train_samples(whole[0])
    sizes = [most // 2**halvings for halvings in range(settings.points - 1, 0, -1)]
    runs = [
        (rows, trials.run(f"{rows}-{seed + at}", {"seed": seed + at, "data": {"max_train_samples": rows}}))
        for rows in sizes
        for at in range(settings.seeds)
    ]
    points = [(rows, primary(run)) for rows, run in runs] + [(most, primary(run)) for run in whole]
    doubled = doubling(points, trials.recipe.seed)
    return Report(
        said=_said(points, doubled, most),
        scores=(doubled,),
        grids=(_grid(points),),
        charts=(_chart(points, trials.recipe.seed),),
    )


def doubling(points: Sequence[tuple[int, Score]], seed: int) -> Score:
    """The score to expect from twice the most rows, with the interval that the points' own intervals give."""
    name, most = points[0][1].name, max(rows for rows, _ in points)
    found, spread = _drawn(points, 2 * most, seed)
    low, high = np.quantile(spread, [0.025, 0.975])
    value = _error(found, name)
    ends = sorted((_error(float(low), name), _error(float(high), name)))
    return Score(f"{name}_with_twice_the_rows", value, min(ends[0], value), max(ends[1], value), 2 * most, note="extrapolated")


def power_law(rows: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """(a, b) of error = a x rows^-b, by least squares of the logarithms."""
    slope, level = np.polyfit(np.log(rows), np.log(np.maximum(errors, 1e-6)), 1)
    return float(np.exp(level)), float(-slope)


def _error(value: float, name: str) -> float:
    """What a metric's value is away from the best, and back."""
    return 1 - value if load_metric(name).HIGHER_IS_BETTER else value


def _drawn(points: Sequence[tuple[int, Score]], at: int, seed: int) -> tuple[float, np.ndarray]:
    """The error to expect at a number of rows, and what it would be with other test rows, (draws,)."""
    rows = np.array([many for many, _ in points], dtype=np.float64)
    errors = np.array([_error(one.value or 0.0, one.name) for _, one in points])
    spread = np.array([((one.high or 0.0) - (one.low or 0.0)) / 3.92 for _, one in points])
    generator = np.random.default_rng(seed)
    draws = errors + spread * generator.normal(size=(_DRAWS, len(errors)))
    level, slope = power_law(rows, errors)
    fitted = [power_law(rows, drawn) for drawn in draws]
    return level * at**-slope, np.array([a * at**-b for a, b in fitted])


def _said(points: Sequence[tuple[int, Score]], doubled: Score, most: int) -> tuple[str, ...]:
    last = [one for rows, one in points if rows == most]
    name = last[0].name.replace("_", " ")
    now = float(np.mean([one.value for one in last]))
    flat = doubled.low is not None and doubled.high is not None and doubled.low <= now <= doubled.high
    return (
        f"With {most:,} rows {name} is {now:.3f}; twice as many would bring about {doubled.value:.3f} "
        f"({doubled.low:.3f} to {doubled.high:.3f}), if the curve goes on as it went.",
        *(("That is within what the test rows can tell from no gain at all.",) if flat else ()),
    )


def _grid(points: Sequence[tuple[int, Score]]) -> Grid:
    return Grid("Runs", ("rows", "score", "low", "high"), [(rows, one.value, one.low, one.high) for rows, one in points])


def _chart(points: Sequence[tuple[int, Score]], seed: int) -> Chart:
    """The measured means, and the curve through them on to twice the rows; rows as powers of two."""
    name, sizes = points[0][1].name, sorted({rows for rows, _ in points})
    means = tuple((np.log2(size), float(np.mean([one.value for rows, one in points if rows == size]))) for size in sizes)
    ahead = np.geomspace(sizes[0], 2 * sizes[-1], 20)
    curve = tuple((float(np.log2(at)), _error(_drawn(points, at, seed)[0], name)) for at in ahead)
    return Chart("Score and rows", "log2 rows", name.replace("_", " "), (("measured", means), ("fitted", curve)))
