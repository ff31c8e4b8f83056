"""Which tokens or patches of pixels speak for an answer, and whether blotting them out changes it more than others do.

Source: integrated gradients: Sundararajan, Taly and Yan 2017; deletion and insertion curves: Petsiuk, Das and Saenko 2018,
section 4.3, beside random orders as Hooker et al. 2019 ask for (``analysis/attribution.py``).
When: asking what an answer rests on. When not: the check finds the attributions no better than a random order.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tunewright.analysis.attribution import (
    Parted,
    integrated_gradients,
    outputs_of,
    parted_image,
    parted_text,
    steps_kept,
    whole_words,
)
from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext, Inputs
from tunewright.analysis.evidence import Chart, Grid, Heat, Report
from tunewright.analysis.tables import worst_errors
from tunewright.core.types import Finding, Score
from tunewright.datasets.encoded import batch
from tunewright.datasets.inputs import shown_input

TASKS = ("classification",)
KINDS = ("text", "image")
DEFAULT = False

_FEWEST_PARTS = 2  # a row of one part has no order
_NAMED = 6  # parts of a row that are named in the table
_LARGEST = 128  # pixels along a side of a picture on the page


class Settings(BaseModel):
    """How many rows, and how finely."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(50, ge=2, le=5000, description="Test rows that the check is made on.")
    shown: int = Field(10, ge=0, le=200, description="Worst errors whose attributions are shown.")
    steps: int = Field(
        32, ge=2, le=500, description="Points along the line from nothing to the row (20 to 300: Sundararajan 2017)."
    )
    points: int = Field(10, ge=2, le=50, description="Points of the deletion and insertion curves.")
    orders: int = Field(3, ge=1, le=20, description="Random orders that attributions are compared with, for each row.")
    patches: int = Field(8, ge=2, le=32, description="Of images: patches along each side.")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Curves of a sample of test rows, and the parts that spoke for the worst errors."""
    network = subject.network(False)
    read = _reader(subject, settings)
    chosen = subject.sample("test", settings.rows)
    curves, gaps = [], []
    generator = np.random.default_rng(subject.seed)
    network.eval()
    for row in map(read, ([subject.rows["test"].inputs[index]] for index in chosen)):
        if row.many >= _FEWEST_PARTS:
            made, gap = _curves(row, settings, generator)
            curves.append(made)
            gaps.append(gap)
    if len(curves) < _FEWEST_PARTS:
        return Report(said=(f"{len(curves)} of {len(chosen)} rows have parts enough to compare orders.",))
    scores = _scores(subject, np.array(curves), np.array(gaps))
    grid, heats = _shown(subject, settings, read) if settings.shown else (None, ())
    return Report(
        said=_said(scores, len(curves)),
        scores=scores,
        findings=_findings(scores),
        heats=heats,
        grids=() if grid is None else (grid,),
        charts=_charts(np.array(curves), settings.points),
    )


def _reader(subject: AnalysisContext, settings: Settings) -> Callable[[Inputs], Parted]:
    network = subject.network(False)

    def read(inputs: Inputs) -> Parted:
        tensors: dict[str, Tensor] = batch(subject.encode(inputs), np.array([0]), network.reads, network.device)
        if subject.schema.kind == "image":
            return parted_image(network, tensors, settings.patches)
        return parted_text(network, tensors)

    return read


def _curves(row: Parted, settings: Settings, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """Probability of the answer, (deletion by order, at random, insertion by order, at random) x points, and what sums miss."""
    everything = np.ones((1, row.many), dtype=bool)
    ends = outputs_of(row, np.concatenate([everything, ~everything]))
    answer = int(ends[0].argmax())
    found = integrated_gradients(row, answer, settings.steps)
    missed = abs(found.sum() - (ends[0, answer] - ends[1, answer])) / max(abs(ends[0, answer] - ends[1, answer]), 1e-6)
    orders = [np.argsort(-found, kind="stable"), *(generator.permutation(row.many) for _ in range(settings.orders))]
    kept = [steps_kept(order, settings.points, deleting=way) for way in (True, False) for order in orders]
    shares = _softmax(outputs_of(row, np.concatenate(kept)))[:, answer]
    made = shares.reshape(2, len(orders), settings.points + 1)
    return np.stack([made[0, 0], made[0, 1:].mean(0), made[1, 0], made[1, 1:].mean(0)]), missed


def _softmax(logits: np.ndarray) -> np.ndarray:
    found = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = found / found.sum(1, keepdims=True)
    return shares


def _scores(subject: AnalysisContext, curves: np.ndarray, gaps: np.ndarray) -> tuple[Score, ...]:
    """Areas under the curves by attribution against random order, the larger the better, of (rows, 4, points)."""
    areas = np.trapezoid(curves, dx=1 / (curves.shape[2] - 1), axis=2)
    named = (
        ("deletion_gain", areas[:, 1] - areas[:, 0], "area under a random order less that by attribution"),
        ("insertion_gain", areas[:, 2] - areas[:, 3], "area by attribution less that under a random order"),
        ("unattributed", gaps, "mean share of the output's difference that the sum misses"),
    )
    return tuple(
        bootstrapped(name, len(values), _mean(values), subject, unit="probability" if "gain" in name else "share", note=note)
        for name, values, note in named
    )


def _mean(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda counts: counts @ values / counts.sum(1)


def _said(scores: tuple[Score, ...], many: int) -> tuple[str, ...]:
    deletion, insertion, missed = scores
    return (
        f"On {many} test rows, taking parts out in the order of their attribution lowers the answer's probability by "
        f"{deletion.value:.3f} ({deletion.low:.3f} to {deletion.high:.3f}) more than at random, averaged over the way; putting "
        f"them in raises it by {insertion.value:.3f} ({insertion.low:.3f} to {insertion.high:.3f}) more.",
        f"Attributions miss {missed.value:.1%} of what they should sum to on average.",
    )


def _findings(scores: tuple[Score, ...]) -> tuple[Finding, ...]:
    weak = [one for one in scores[:2] if one.low is not None and one.low <= 0]
    if not weak:
        return ()
    named = " and ".join(f"{one.name.replace('_', ' ')} {one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in weak)
    message = f"attributions are not certainly better than a random order: {named}; do not explain answers by them"
    return (Finding("not_faithful", message, "warning"),)


def _charts(curves: np.ndarray, points: int) -> tuple[Chart, ...]:
    share, mean = np.linspace(0, 1, points + 1), curves.mean(0)

    def line(place: int) -> tuple[tuple[float, float], ...]:
        return tuple((float(x), float(y)) for x, y in zip(share, mean[place], strict=True))

    return tuple(
        Chart(title, x, "probability of the answer", (("by attribution", line(at)), ("at random", line(at + 1))))
        for title, x, at in (("Deletion", "share taken out", 0), ("Insertion", "share put in", 2))
    )


def _shown(subject: AnalysisContext, settings: Settings, read: Callable[[Inputs], Parted]) -> tuple[Grid, tuple[Heat, ...]]:
    """The parts that spoke most for and against the answer of each of the worst errors, and all parts over the row."""
    test, answers = subject.rows["test"], subject.answers("test")
    wrong = worst_errors(
        test.targets,
        answers,
        subject.labels,
        numbers=np.arange(len(test)),
        inputs=[shown_input(row, subject.schema.kind)[:160] for row in test.inputs],
        shown=subject.head.shown,
        most=settings.shown,
    )
    rows, heats = [], []
    for one in wrong:
        inputs, number = [test.inputs[one["row"]]], int(test.numbers[one["row"]])
        row = read(inputs)
        found = integrated_gradients(row, int(answers.values[one["row"]]), settings.steps)
        order = np.argsort(-np.abs(found), kind="stable")[:_NAMED]
        parts = ", ".join(f"{row.names[at]} {found[at]:+.2f}" for at in order)
        rows.append((number, one["text"], one["target"], one["predicted"], parts))
        title = f"Row {number}: {one['predicted']}, and right would be {one['target']}"
        if subject.schema.kind == "image":
            squares = tuple(zip(row.names, found.tolist(), strict=True))
            heats.append(Heat(title, squares, _picture(subject, inputs), settings.patches))
        else:
            heats.append(Heat(title, whole_words(row, found)))
    title = "What spoke for (+) and against (-) the answers that were most wrong, in its logit"
    return Grid(title, ("row", "text", "right", "predicted", "parts"), rows), tuple(heats)


def _picture(subject: AnalysisContext, inputs: Inputs) -> str:
    """The pixels that the model reads as a small PNG in base64."""
    from PIL import Image

    encoded: Any = subject.encode(inputs).encoded
    pixels = np.moveaxis(encoded.pixels[encoded.rows[0]], 0, 2)
    picture, kept = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), BytesIO()
    picture.thumbnail((_LARGEST, _LARGEST))
    picture.save(kept, "PNG")
    return b64encode(kept.getvalue()).decode("ascii")
