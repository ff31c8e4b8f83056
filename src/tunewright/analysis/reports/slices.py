"""Where the model is worse than on average: by text length, by columns, by pairs of classes, and by slices that are searched for.

Source: Chung et al. 2019, Automated Data Slicing for Model Validation, section 3; p-values of several tests: Holm 1979. Half of
the test rows find slices, the other half judges the worst of them, so that what is told is not the noise of the search.
When: always; a mean hides who is served badly. When not: a few dozen test rows, of which the report then says that they are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Cell, Grid, Report
from tunewright.analysis.gaps import holm
from tunewright.analysis.slicing import Loss, Slice, by_cluster, by_column, by_word, p_against_rest, scored, thirds, worst
from tunewright.core.types import Finding, Score
from tunewright.datasets.inputs import is_compared_by_digest
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification", "ordinal", "multi_label", "regression", "sentence_similarity")
KINDS = None
DEFAULT = True

_TABLES = ("table", "mixed")
_DIGITS = 1e-4  # below it a p-value is told as less than that


class Settings(BaseModel):
    """Which slices, and when one is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[str, ...] = Field((), description="Columns of the file by whose values rows are scored apart.")
    smallest: int = Field(20, ge=4, description="Test rows of a slice that is searched for, at least (a guess).")
    clusters: int = Field(
        8, ge=0, le=100, description="Clusters of the untuned network's features that are looked at; 0 for none (a guess)."
    )
    judged: int = Field(5, ge=1, le=50, description="Slices that the second half of the test rows judges (a guess).")
    rows: int = Field(5000, ge=100, description="Test rows that are searched at most, drawn at random (a guess).")
    p: float = Field(0.05, gt=0, lt=0.5, description="Corrected p-value below which a slice is a finding.")
    pairs: int = Field(10, ge=0, description="Pairs of classes in the table, the most often confused first.")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Scores of slices against the rest of the test rows, with intervals and p-values corrected for how many they are."""
    loss = loss_of(subject)
    given = _given(subject, settings)
    told = _judged(subject, loss, given, worse=False)
    searched, candidates = _searched(subject, settings, loss)
    pairs = _pairs(subject, settings) if subject.task in ("classification", "ordinal") else []
    return Report(
        said=(*_said_of_given(told, loss, settings), *_said_of_search(searched, candidates, loss, settings)),
        scores=tuple(one.score for one in (*told, *searched)),
        findings=tuple(_finding(one, loss) for one in (*told, *searched) if _is_worse(one, loss, settings)),
        grids=tuple(
            grid for grid in (_grid(f"{_title(loss)} by slice", told), _grid(_FOUND, searched), _pair_grid(pairs)) if grid.rows
        ),
    )


_FOUND = "Worst slices that were searched for, on the rows that did not find them"


@dataclass(frozen=True)
class Judged:
    """A slice with its score, that of the rest, its corrected p-value, and the numbers of its rows that went wrong."""

    slice: Slice
    score: Score
    rest: Score
    p: float | None
    rows: tuple[int, ...] = ()


def loss_of(subject: AnalysisContext) -> Loss:
    """What went wrong on each test row: that it is wrong, or by how much."""
    wanted, given = subject.rows["test"].targets, subject.answers("test").values
    if subject.task in ("regression", "sentence_similarity"):
        return Loss(np.abs(wanted - given).astype(np.float64), share=False, metric="mean_absolute_error")
    wrong = (wanted != given).any(1) if wanted.ndim == 2 else wanted != given
    return Loss(wrong.astype(np.float64), share=True, metric="accuracy" if wanted.ndim == 1 else "subset_accuracy")


def _texts(subject: AnalysisContext) -> list[tuple[str, ...]]:
    rows = subject.rows["test"]
    return [] if is_compared_by_digest(rows.kind) else [tuple(map(str, row)) for row in rows.texts]


def _given(subject: AnalysisContext, settings: Settings) -> list[Slice]:
    texts = _texts(subject)
    found = thirds(np.array([float(sum(map(len, row))) for row in texts]), "length", " characters") if texts else []
    for name in settings.columns:
        found += by_column(subject.column("test", name), name)
    return found


def _judged(subject: AnalysisContext, loss: Loss, slices: Sequence[Slice], *, worse: bool) -> list[Judged]:
    """Each slice against the rest of the same rows, with p-values corrected for all of them."""
    found = [p_against_rest(loss, one.mask, worse=worse) for one in slices]
    known = [p for p in found if p is not None]
    corrected = dict(zip((place for place, p in enumerate(found) if p is not None), holm(known) if known else [], strict=True))
    numbers, limit = subject.rows["test"].numbers, 0.0 if loss.share else float(np.median(loss.values))
    judged = []
    for place, one in enumerate(slices):
        name = f"{loss.metric}: {one.family} {one.name}"
        score, rest = (scored(subject, loss, mask, name) for mask in (one.mask, ~one.mask))
        rows = tuple(int(number) for number in numbers[one.mask & (loss.values > limit)]) if len(numbers) == len(one.mask) else ()
        judged.append(Judged(one, score, rest, corrected.get(place), rows))
    return judged


def _searched(subject: AnalysisContext, settings: Settings, loss: Loss) -> tuple[list[Judged], int]:
    """The worst slices of one half, judged by the other; and how many were looked at."""
    chosen = subject.sample("test", settings.rows)
    if len(chosen) < 4 * settings.smallest or not loss.values.any():
        return [], 0
    candidates = _candidates(subject, settings, chosen)
    order = np.random.default_rng(subject.seed).permutation(len(chosen))
    explored = np.zeros(len(chosen), dtype=bool)
    explored[order[: len(chosen) // 2]] = True
    here = Loss(loss.values[chosen], loss.share, loss.metric)
    fewest = max(2, settings.smallest // 3)
    found = worst(candidates, here, explored, settings.judged, fewest)
    held = Loss(here.values[~explored], loss.share, loss.metric)
    judged = _judged(subject, held, [Slice(one.family, one.name, one.mask[~explored]) for one in found], worse=True)
    numbers, limit = subject.rows["test"].numbers[chosen], 0.0 if loss.share else float(np.median(loss.values))
    rows = [tuple(int(number) for number in numbers[whole.mask & (here.values > limit)]) for whole in found]
    judged = [replace(one, rows=found_rows) for one, found_rows in zip(judged, rows, strict=True)]
    return judged, len(candidates)


def _candidates(subject: AnalysisContext, settings: Settings, chosen: np.ndarray) -> list[Slice]:
    """Words, values of columns, and clusters of what the untuned network makes of the rows, which a run knows already."""
    test, texts = subject.rows["test"], _texts(subject)
    words = by_word([texts[row] for row in chosen], settings.smallest) if texts else []
    found = list(words)
    if subject.schema.kind in _TABLES:
        for name in subject.schema.text:
            cells = subject.column("test", name)
            found += by_column([cells[row] for row in chosen], name)
    if settings.clusters:
        inputs = test.inputs if len(chosen) == len(test) else [test.inputs[row] for row in chosen]
        found += by_cluster(subject.features(inputs, True), words, settings.clusters, settings.smallest, subject.seed)
    few = settings.smallest
    return [one for one in found if few <= one.mask.sum() <= len(chosen) - few]


def _pairs(subject: AnalysisContext, settings: Settings) -> list[tuple[Cell, ...]]:
    """The classes that are taken for one another most: how often, with interval, and against errors spread evenly."""
    from scipy.stats import binomtest

    wanted, given, names = subject.rows["test"].targets, subject.answers("test").values, subject.labels.names
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (wanted, given), 1)
    rows = counts.sum(1)
    even = float((wanted != given).mean()) / max(1, len(names) - 1)
    places = [(a, b) for a in range(len(names)) for b in range(len(names)) if a != b and rows[a]]
    if not places or even == 0:
        return []
    shown = sorted((place for place in places if counts[place]), key=lambda place: -counts[place])[: settings.pairs]
    plain = {
        place: binomtest(int(counts[place]), int(rows[place[0]]), even, "greater").pvalue for place in places if counts[place]
    }
    corrected = dict(zip(plain, holm([*plain.values(), *[1.0] * (len(places) - len(plain))]), strict=False))
    return [
        (
            names[a],
            names[b],
            int(counts[a, b]),
            int(rows[a]),
            float(counts[a, b] / rows[a]),
            *exact_interval(int(counts[a, b]), int(rows[a]), subject.confidence),
            corrected[a, b],
        )
        for a, b in shown
    ]


def _title(loss: Loss) -> str:
    return loss.metric.replace("_", " ").capitalize()


def _grid(title: str, judged: Sequence[Judged]) -> Grid:
    columns = ("slice", "value", "rows", "score", "low", "high", "the rest", "p, corrected")
    cells = [
        (one.slice.family, one.slice.name, one.score.n, one.score.value, one.score.low, one.score.high, one.rest.value, one.p)
        for one in judged
    ]
    return Grid(title, columns, cells)


def _pair_grid(pairs: list[tuple[Cell, ...]]) -> Grid:
    columns = ("class", "taken for", "times", "rows", "share", "low", "high", "p, corrected")
    return Grid("Classes most often taken for another", columns, pairs)


def _is_worse(one: Judged, loss: Loss, settings: Settings) -> bool:
    if one.p is None or one.p >= settings.p or one.score.value is None or one.rest.value is None:
        return False
    return one.score.value < one.rest.value if loss.share else one.score.value > one.rest.value


def _p(p: float) -> str:
    return f"p < {_DIGITS:g}" if p < _DIGITS else f"p = {p:.2g}"


def _told(one: Judged, loss: Loss) -> str:
    assert one.p is not None
    bounds = "" if one.score.low is None else f" ({one.score.low:.3f} to {one.score.high:.3f})"
    what = {"word": "rows with the word", "cluster": ""}.get(one.slice.family, f"{one.slice.family}:")
    name = f"{what} {one.slice.name}".strip()
    return (
        f"{name}: {loss.metric.replace('_', ' ')} {one.score.value:.3f}{bounds} on {one.score.n} rows, elsewhere "
        f"{one.rest.value:.3f}; {_p(one.p)}"
    )


def _said_of_given(judged: list[Judged], loss: Loss, settings: Settings) -> tuple[str, ...]:
    if not judged:
        return ()
    families = " and ".join(dict.fromkeys(one.slice.family for one in judged))
    differing = [one for one in judged if one.p is not None and one.p < settings.p]
    if not differing:
        return (f"By {families} no slice differs from the rest (smallest corrected {_p(_least(judged))}).",)
    return tuple(f"By {_told(one, loss)}." for one in differing)


def _least(judged: list[Judged]) -> float:
    return min((one.p for one in judged if one.p is not None), default=1.0)


def _said_of_search(judged: list[Judged], candidates: int, loss: Loss, settings: Settings) -> tuple[str, ...]:
    if not candidates:
        return (f"No slices were searched for: it takes {4 * settings.smallest} test rows with an error among them.",)
    worse = [one for one in judged if _is_worse(one, loss, settings)]
    start = (
        f"Of {candidates} words, values and clusters the {len(judged)} worst by half of the rows were judged by the other half"
    )
    if not worse:
        return (f"{start}: none is worse than the rest (smallest corrected {_p(_least(judged))}).",)
    return (f"{start}; {len(worse)} {'is' if len(worse) == 1 else 'are'} worse.", *(f"{_told(one, loss)}." for one in worse))


def _finding(one: Judged, loss: Loss) -> Finding:
    message = f"worse on some rows than on the rest: {_told(one, loss)}; look at these rows, or add some like them to train"
    return Finding("worst_slice", message, "warning", one.rows, one.score.n)
