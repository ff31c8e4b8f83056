"""Example rows of every kind of values that metrics read, and references that take a few lines."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tunewright.core.arrays import object_array
from tunewright.core.types import Labels

KINDS = (
    "classes",
    "sets",
    "numbers",
    "tags",
    "texts",
    "likelihoods",
    "masked",
    "ranks",
    "relevances",
    "boxes",
    "confusions",
    "margins",
    "columns",
)


@dataclass(frozen=True)
class Example:
    """Rows of one kind: targets, imperfect predictions, and perfect ones; probabilities of both where the kind has them."""

    targets: np.ndarray
    values: np.ndarray
    perfect: np.ndarray
    labels: Labels
    probabilities: np.ndarray | None = None
    sure: np.ndarray | None = None

    def read(self, metric: Any) -> tuple[np.ndarray, np.ndarray]:
        """Imperfect and perfect predictions as the metric reads them."""
        if metric.NEEDS == "values":
            return self.values, self.perfect
        assert self.probabilities is not None
        assert self.sure is not None
        return self.probabilities, self.sure


def example(kind: str, n: int = 60, seed: int = 0) -> Example:
    """n rows of this kind, drawn at random."""
    return globals()[f"_{kind}"](n, np.random.default_rng(seed))


def _classes(n: int, generator: np.random.Generator) -> Example:
    targets, shares = generator.integers(0, 4, n), generator.dirichlet(np.ones(4), n)
    labels = Labels("classification", ("a", "b", "c", "d"))
    return Example(targets, shares.argmax(1), targets, labels, shares, np.eye(4)[targets])


def _sets(n: int, generator: np.random.Generator) -> Example:
    targets, odds = generator.integers(0, 2, (n, 3)), generator.uniform(size=(n, 3))
    decided = (odds > 0.5).astype(np.int64)
    return Example(targets, decided, targets, Labels("multi_label", ("a", "b", "c")), odds, targets.astype(float))


def _numbers(n: int, generator: np.random.Generator) -> Example:
    targets = generator.normal(size=n)
    return Example(targets, targets + generator.normal(size=n), targets, Labels("regression"))


TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-LOC", "S-PER")


def _tags(n: int, generator: np.random.Generator) -> Example:
    lengths = generator.integers(1, 12, n)
    targets = object_array(generator.integers(0, len(TAGS), length) for length in lengths)
    chance = (np.where(generator.random(len(row)) < 0.7, row, generator.integers(0, len(TAGS), len(row))) for row in targets)
    return Example(targets, object_array(chance), targets, Labels("classification", TAGS))


def _texts(n: int, generator: np.random.Generator) -> Example:
    words = ["the", "Cat", "sat", "on", "a", "mat", "near", "Göteborg", "3", "dogs,", "don't", "run."]

    def text(least: int) -> str:
        return " ".join(generator.choice(words, generator.integers(least, 9)))

    targets = [tuple(text(4) for _ in range(generator.integers(1, 4))) for _ in range(n)]
    given = [right[-1] if generator.random() < 0.2 else f"{right[0][: len(right[0]) // 2]} {text(0)}" for right in targets]
    return Example(
        object_array(targets), object_array(given), object_array(right[0] for right in targets), Labels("classification")
    )


def _likelihoods(n: int, generator: np.random.Generator) -> Example:
    tokens = generator.integers(1, 40, n)
    nats = tokens * generator.uniform(1, 4, n)
    read = np.stack([nats, tokens, 4 * tokens], axis=1)
    return Example(np.zeros(n), read, read * [0.0, 1, 1], Labels("classification"))


def _masked(n: int, generator: np.random.Generator) -> Example:
    tokens = generator.integers(1, 40, n)
    read = np.stack([tokens * generator.uniform(1, 4, n), tokens, 4 * tokens, generator.integers(0, tokens + 1)], axis=1)
    return Example(np.zeros(n), read, np.stack([tokens * 0.0, tokens, 4 * tokens, tokens], axis=1), Labels("classification"))


def _ranks(n: int, generator: np.random.Generator) -> Example:
    return Example(np.zeros(n), generator.integers(0, 30, n), np.ones(n, dtype=int), Labels("classification"))


def _relevances(n: int, generator: np.random.Generator) -> Example:
    judged = [generator.integers(0, 4, generator.integers(3, 25)) for _ in range(n)]
    ranked = object_array(generator.permutation(row) for row in judged)
    return Example(object_array(judged), ranked, object_array(np.sort(row)[::-1] for row in judged), Labels("classification"))


def _boxes(n: int, generator: np.random.Generator) -> Example:
    targets, given, perfect = [], [], []
    for _ in range(n):
        corners = generator.integers(0, 60, (generator.integers(0, 6), 2))
        boxes = np.concatenate([corners, corners + generator.integers(8, 40, corners.shape)], axis=1).astype(float)
        classes = generator.integers(0, 3, len(boxes))
        extra = generator.integers(0, 4)
        noise = np.concatenate([generator.integers(0, 50, (extra, 2)), generator.integers(60, 99, (extra, 2))], axis=1)
        found = np.concatenate(
            [boxes + generator.integers(-3, 4, boxes.shape), boxes + generator.normal(0, 1, boxes.shape), noise]
        )
        kinds = np.concatenate([classes, classes, generator.integers(0, 4, extra)])  # 3 is a class without right boxes
        targets.append((boxes, classes))
        given.append((found, kinds, generator.permutation(len(found)) / 100 + generator.random() / 1000))
        perfect.append((boxes, classes, generator.random(len(boxes))))
    return Example(object_array(targets), object_array(given), object_array(perfect), Labels("classification", tuple("abcd")))


def _confusions(n: int, generator: np.random.Generator) -> Example:
    counts = generator.integers(0, 20, (n, 3, 3))
    counts[: n // 2, :, 2] = 0
    wanted = counts.sum(2)
    return Example(np.zeros(n), counts, wanted[:, :, None] * np.eye(3, dtype=int), Labels("classification", ("a", "b", "c")))


def _margins(n: int, generator: np.random.Generator) -> Example:
    margins = generator.normal(0.5, 1, n)
    return Example(np.zeros(n), margins, np.abs(margins) + 1, Labels("classification"))


def _columns(n: int, generator: np.random.Generator) -> Example:
    targets = np.stack([generator.integers(0, 3, n), generator.normal(size=n)], 1)
    noisy = np.stack([np.where(generator.random(n) < 0.7, targets[:, 0], 0), targets[:, 1] + 0.3 * generator.normal(size=n)], 1)
    parts = (("a", Labels("classification", ("x", "y", "z"))), ("b", Labels("regression")))
    return Example(targets, noisy, targets, Labels("multi_task", parts=parts))


def coco(targets: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """AP over overlaps of 0.50 to 0.95 and AP at 0.50, from COCO's own evaluation."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    right, found = [], []
    for image, ((boxes, classes), (guesses, given, scores)) in enumerate(zip(targets, predicted, strict=True)):
        for box, one in zip(boxes, classes, strict=True):
            about = {"id": len(right) + 1, "image_id": image, "category_id": int(one), "iscrowd": 0}
            right.append(about | {"bbox": _corner_and_size(box), "area": float(np.prod(box[2:] - box[:2]))})
        for box, one, score in zip(guesses, given, scores, strict=True):
            found.append({"image_id": image, "category_id": int(one), "bbox": _corner_and_size(box), "score": float(score)})
    with redirect_stdout(io.StringIO()):
        gold = COCO()
        names = [{"id": one, "name": str(one)} for one in range(4)]
        gold.dataset = {"images": [{"id": image} for image in range(len(targets))], "annotations": right, "categories": names}
        gold.createIndex()
        evaluation = COCOeval(gold, gold.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def _corner_and_size(box: np.ndarray) -> list[float]:
    return [*map(float, box[:2]), *map(float, box[2:] - box[:2])]
