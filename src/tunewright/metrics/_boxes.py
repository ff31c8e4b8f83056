"""Found boxes matched with right ones, and average precision from the matches.

Source: Lin et al. 2014 (COCO) and its evaluation: in order of score, each box takes the free right box that it overlaps most,
if by at least the threshold; precision is read at 101 recalls. Boxes of any size, at most 100 per image and class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_RECALLS = np.linspace(0, 1, 101)
_MOST = 100


@dataclass(frozen=True)
class Matches:
    """One class in all n images: its D found boxes, highest score first.

    ``right`` (D, T): matched at each threshold; ``image`` (D,): where it was found; ``wanted`` (n,): right boxes of each image.
    """

    right: np.ndarray
    image: np.ndarray
    wanted: np.ndarray


def matches(targets: np.ndarray, predicted: np.ndarray, thresholds: np.ndarray) -> list[Matches]:
    """Matches of each class that has a right box in any image, at each threshold (T,), lowest first, on the overlap."""
    wanted = {int(one): np.zeros(len(targets), dtype=np.int64) for _, classes in targets for one in classes}
    found: dict[int, list[tuple[np.ndarray, np.ndarray, int]]] = {one: [] for one in wanted}
    for image, ((boxes, classes), (guesses, given, scores)) in enumerate(zip(targets, predicted, strict=True)):
        gold, kinds, sure = _table(boxes), np.asarray(classes), np.asarray(scores, dtype=np.float64)
        for one in np.unique(kinds).tolist():
            wanted[one][image] = (kinds == one).sum()
        for one in wanted.keys() & np.unique(np.asarray(given)).tolist():
            mine = np.flatnonzero(np.asarray(given) == one)
            order = mine[np.argsort(-sure[mine], kind="stable")][:_MOST]
            right = _greedy(overlaps(_table(guesses)[order], gold[kinds == one]), thresholds)
            found[one].append((sure[order], right, image))
    return [_of_class(found[one], wanted[one], len(thresholds)) for one in sorted(wanted)]


def mean_precision(found: list[Matches], counts: np.ndarray) -> float:
    """Mean average precision over classes and thresholds, each image taken ``counts`` (n,) times; nan without right boxes."""
    precisions = [_precision(one, counts) for one in found if counts @ one.wanted]
    return float(np.mean(precisions)) if precisions else float("nan")


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (k, 4) and others (j, 4), both x1, y1, x2, y2: (k, j)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    areas, other_areas = ((side[:, 2:] - side[:, :2]).prod(-1) for side in (boxes, others))
    union = areas[:, None] + other_areas[None] - common
    return np.where(common > 0, common / np.where(union > 0, union, 1), 0.0)


def _table(boxes: Any) -> np.ndarray:
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def _of_class(found: list[tuple[np.ndarray, np.ndarray, int]], wanted: np.ndarray, thresholds: int) -> Matches:
    """One class's scores, matches and image, image by image, in order of score over all images."""
    scores = np.concatenate([np.empty(0), *(one for one, _, _ in found)])
    right = np.concatenate([np.empty((0, thresholds), dtype=bool), *(one for _, one, _ in found)])
    image = np.repeat([place for _, _, place in found], [len(one) for one, _, _ in found]).astype(np.int64)
    order = np.argsort(-scores, kind="stable")
    return Matches(right[order], image[order], wanted)


def _greedy(overlap: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which boxes (k,) find a right one at each threshold, from overlaps (k, j), highest score first: (k, T)."""
    (boxes, gold), steps = overlap.shape, np.arange(len(thresholds))
    right = np.zeros((boxes, len(thresholds)), dtype=bool)
    free = np.ones((len(thresholds), gold), dtype=bool)
    for box in np.flatnonzero((overlap >= thresholds[0]).any(1)):
        candidates = np.where(free, overlap[box], -1.0)
        best = gold - 1 - candidates[:, ::-1].argmax(1)  # of equals the last
        taken = candidates[steps, best] >= thresholds
        right[box] = taken
        free[steps[taken], best[taken]] = False
    return right


def _precision(found: Matches, counts: np.ndarray) -> float:
    """Mean over thresholds and 101 recalls of the best precision at that recall or above."""
    weights = counts[found.image][:, None]
    hits, given = (found.right * weights).cumsum(0), weights.cumsum(0)
    precision = np.maximum.accumulate((hits / np.maximum(given, 1))[::-1])[::-1]
    recall = hits / (counts @ found.wanted)
    reached = np.array([np.searchsorted(column, _RECALLS) for column in recall.T]).reshape(-1)
    padded = np.vstack([precision, np.zeros((1, precision.shape[1]))])  # recalls never reached have precision 0
    return float(padded[reached, np.repeat(np.arange(precision.shape[1]), len(_RECALLS))].mean())
