"""What the model lost of what it knew before: reference rows before and after tuning, and how far each layer moved.

Source: catastrophic forgetting: McCloskey and Cohen 1989; layers compared by centred kernel alignment: Kornblith et al. 2019,
section 3. When: the model is to stay good at something else. When not: nothing but the task at hand counts.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Chart, Grid, Report
from tunewright.analysis.references import Asked, asked, read_reference, unseen
from tunewright.analysis.similarity import alignment
from tunewright.core.rounding import grain
from tunewright.core.types import Finding, Score

TASKS = None
KINDS = ("text", "words", "question", "pairs", "conversation", "captioned", "image_prompt", "video", "image", "audio")
DEFAULT = True

_VALUES = {
    "probe": "accuracy of a linear probe",
    "sentence_similarity": "rank correlation",
    "text": "minus nats per token",
    "choice": "accuracy of the likeliest choice",
}


class Settings(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    references: tuple[str, ...] = Field(
        (),
        description="Files of rows that the tuning never saw: texts with a class, pairs with a number, texts alone, or question, "
        "choices and answer.",
    )
    rows: int = Field(500, ge=20, description="Rows of each reference at most (a guess).")
    drift_rows: int = Field(200, ge=4, description="Test rows by which layers are compared (a guess).")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """The change on each reference with its interval, and the alignment of each block's states before and after."""
    drift = _drift(subject, settings.drift_rows)
    lost: dict[str, list[Asked]] = {}
    left_out: list[str] = []
    for path in settings.references:
        reference, seen = unseen(read_reference(path, settings.rows, subject.seed), subject)
        left_out += [f"{seen} rows of '{reference.name}' were trained on and are left out."] if seen else []
        lost[reference.name] = [asked(reference, subject, before) for before in (True, False)]
    rows = [_row(subject, name, *pair) for name, pair in lost.items()]
    scores = tuple(score for row in rows for score in row)
    return Report(
        said=(*_told(rows, lost), *left_out, *_moved(drift, bool(rows))),
        scores=scores,
        findings=tuple(_finding(row[2]) for row in rows if _is_certain(row[0], row[2])),
        grids=(_grid(rows, lost),) if rows else (),
        charts=(_chart(drift),) if drift else (),
    )


def forgotten(subject: AnalysisContext, name: str, before: Asked, after: Asked) -> Score:
    """How much less is known after than before, in the reference's own unit, with its paired interval."""
    return bootstrapped(
        f"forgotten_{name}",
        len(before.rows),
        lambda counts: before.value(counts) - after.value(counts),
        subject,
        split="reference",
    )


def _row(subject: AnalysisContext, name: str, before: Asked, after: Asked) -> tuple[Score, Score, Score]:
    alone = (
        bootstrapped(f"{when}_{name}", len(one.rows), one.value, subject, split="reference")
        for when, one in (("before", before), ("after", after))
    )
    return (*alone, forgotten(subject, name, before, after))  # type: ignore[return-value]


def _drift(subject: AnalysisContext, most: int) -> dict[str, float]:
    """Alignment of each block before and after, where it is defined."""
    rows = subject.rows["test"].select(subject.sample("test", most))
    before, after = subject.states(rows, True), subject.states(rows, False)
    found = {name: alignment(before[name], after[name]) for name in before if name in after}
    return {name: value for name, value in found.items() if value is not None}


def _told(rows: list[tuple[Score, Score, Score]], lost: dict[str, list[Asked]]) -> list[str]:
    said = []
    for (before, after, change), (name, pair) in zip(rows, lost.items(), strict=True):
        if change.value is None or change.low is None:
            said.append(f"On '{name}' nothing can be said: {change.note}.")
            continue
        said.append(
            f"On '{name}' the {_VALUES[pair[0].ask]} was {before.value:.3f} before tuning and is {after.value:.3f} after: "
            f"{0 - change.value:+.3f} ({0 - change.high:+.3f} to {0 - change.low:+.3f}) on {change.n} rows."  # type: ignore[operator]
        )
    return said


def _moved(drift: dict[str, float], has_references: bool) -> list[str]:
    if not drift:
        return [] if has_references else ["Too few test rows to compare layers by."]
    name = min(drift, key=lambda one: drift[one])
    if drift[name] > 1 - 1e-4:
        said = "No block changed what it makes of the test rows."
    else:
        said = f"The block that moved most is '{name}': alignment {drift[name]:.3f} with what it was (1 is unchanged)."
    more = (
        ""
        if has_references
        else (" Whether anything was lost is told by reference rows: tunewright report RUN forgetting --set references=[FILE].")
    )
    return [said + more]


def _is_certain(before: Score, change: Score) -> bool:
    """Whether something is lost, by more than the last bits of the network's answers."""
    return change.low is not None and change.low > grain(np.array(before.value or 0.0, np.float32))


def _finding(change: Score) -> Finding:
    name = change.name.removeprefix("forgotten_")
    return Finding(
        "forgetting",
        f"the tuned model knows less of '{name}' than before: {change.value:.3f} ({change.low:.3f} to {change.high:.3f}) lost; a "
        "lower rate, --strategy lora, the penalty l2_sp or averaging wise_ft would keep more",
        "warning",
        count=change.n,
    )


def _grid(rows: list[tuple[Score, Score, Score]], lost: dict[str, list[Asked]]) -> Grid:
    cells = [
        (name, _VALUES[pair[0].ask], before.value, after.value, change.value, change.low, change.high, change.n)
        for (before, after, change), (name, pair) in zip(rows, lost.items(), strict=True)
    ]
    return Grid("References", ("reference", "measured by", "before", "after", "forgotten", "low", "high", "rows"), cells)


def _chart(drift: dict[str, float]) -> Chart:
    line = tuple((float(place), value) for place, value in enumerate(drift.values(), start=1))
    return Chart("Each block before and after", "block", "alignment (CKA)", (("alignment", line),))
