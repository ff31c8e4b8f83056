"""A toy task on a tiny random BERT: enough to run every part of the engine for real in a second."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tunewright.config.recipe import Recipe
from tunewright.pipeline.steps import (
    InMemoryData,
    PreparedRun,
    apply_method,
    initialize,
    make_job,
    prepare_rows,
    set_up,
    train_features,
)
from tunewright.pipeline.workflow import make_recipe
from tunewright.training.context import TrainingContext

TOPICS = {
    "money": ["card", "money", "bank", "pay", "paid", "refund", "price", "cheap", "dear"],
    "post": ["order", "parcel", "late", "early", "lost", "broken", "new", "old"],
    "mood": ["great", "awful", "happy", "sad", "love", "hate", "fine", "good", "bad"],
}
FILLERS = tuple(
    word
    for words in ("the my your is was not and or for with to of", "in on it i you we they this that can cannot want need")
    for word in words.split()
)


def toy_rows(count: int = 48, seed: int = 0, longest: int = 9) -> list[dict[str, str]]:
    """Rows of unequal length whose topic words tell the label."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        label = sorted(TOPICS)[number % len(TOPICS)]
        words = generator.choices(FILLERS, k=generator.randint(1, longest)) + generator.choices(TOPICS[label], k=2)
        generator.shuffle(words)
        rows.append({"text": " ".join((*words, str(number % 10), "abcdefgh"[number % 8])), "label": label})
    return rows


def toy_recipe(base: Path, **sections: Any) -> Recipe:
    """A recipe with a quick test's defaults, sections given on top."""
    defaults: dict[str, dict[str, Any]] = {
        "data": {"near_duplicates": "ignore"},
        "model": {"source": str(base)},
        "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2, "schedule": {"name": "constant"}},
        "training": {"epochs": 2, "batch_size": 8},
        "evaluation": {"baselines": (), "certify": False},
    }
    merged = {key: {**value, **sections.pop(key, {})} for key, value in defaults.items()}
    by_hand = {} if "strategy" in sections else {"method": "full"}
    return make_recipe(target="label", text="text", **merged, **by_hand | sections)


def toy_setup(recipe: Recipe, rows: list[dict[str, str]] | None = None) -> PreparedRun:
    return set_up(recipe, prepare_rows(recipe, InMemoryData(toy_rows() if rows is None else rows)))


def toy_job(recipe: Recipe, rows: list[dict[str, str]] | None = None, **job: Any) -> TrainingContext:
    """A job with its method applied and its head initialized."""
    setup = toy_setup(recipe, rows)
    applied = apply_method(setup)
    initialize(setup, applied, train_features(setup))
    return make_job(setup, applied, **job)
