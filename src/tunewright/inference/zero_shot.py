"""Classes told by their names alone: each image goes to the text whose vector lies closest.

Source: Radford et al. 2021 (CLIP), section 3.1.2 (names as a classifier) and 3.1.4 (templates, whose vectors are averaged).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tunewright.artifacts.model_folder import Loaded
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError, raise_all
from tunewright.core.types import Labels, Predictions, Score
from tunewright.datasets.schema import Schema, guess_schema
from tunewright.datasets.table import Table
from tunewright.datasets.targets import values
from tunewright.evaluation.intervals import score
from tunewright.modalities.image import modality as image
from tunewright.models.dual_encoder import OWN
from tunewright.tasks.image_text_contrastive import task as image_text
from tunewright.training.predict import passes

METRICS = ("accuracy", "macro_f1")


def zero_shot(loaded: Loaded, table: Table, templates: Sequence[str], names: Sequence[str], recipe: Recipe) -> list[Score]:
    """Scores of labeled images (a picture column and a class column), against the classes seen in them and ``names``."""
    if loaded.head != "image_text_contrastive":
        task = loaded.head.replace("_", " ")
        raise UserError(f"the run's task is {task}", expected="image_text, whose texts can name any class")
    schema = guess_schema(table, task="classification", kind="image")
    targets, labels = _targets(table, schema, names)
    rows = image.read(table, schema.text)
    predictions = classified(loaded, [row[0] for row in rows], labels.names, templates)
    evaluation = recipe.evaluation
    how: dict[str, Any] = {"confidence": evaluation.confidence, "resamples": evaluation.resamples, "seed": recipe.seed}
    return [score(name, targets, predictions, labels, split="given", **how) for name in METRICS]


def classified(loaded: Loaded, pictures: Sequence[Any], names: Sequence[str], templates: Sequence[str]) -> Predictions:
    """The class of each picture among ``names``, with the model's probabilities, (n, classes)."""
    prompts = [template.replace("{}", name) for template in templates for name in names]
    if any(template.count("{}") != 1 for template in templates) or not templates:
        raise UserError(f"the templates are {list(templates)!r}", expected="texts with {} once, as 'a photo of a {}.'")
    rows = [(pictures[row % len(pictures)], prompts[row % len(prompts)]) for row in range(max(len(pictures), len(prompts)))]
    examples = image_text.encode(loaded.network, rows, None, image_text.Settings(), loaded.max_length)
    found = np.empty(0)
    for chosen, output in passes(loaded.network, examples):
        found = found if len(found) else np.empty((len(rows), *output.shape[1:]), dtype=np.float32)
        found[chosen] = output.float().cpu().numpy()
    images, own = found[: len(pictures), 0, :-OWN], found[0, 0, -OWN:]
    texts = found[: len(prompts), 1, :-OWN].reshape(len(templates), len(names), -1).mean(0)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    logits = np.exp(own[0]) * images @ texts.T
    return Predictions(logits.argmax(1), torch.from_numpy(logits).softmax(1).numpy())


def _targets(table: Table, schema: Schema, more: Sequence[str]) -> tuple[np.ndarray, Labels]:
    """Class numbers (n,), and all classes in the order of their names."""
    given = values.read(table, schema)
    raise_all(values.faults(given, "classification", table.where))
    seen = values.labels(given, "classification", schema.target)
    labels = Labels("classification", tuple(sorted({*seen.names, *more})))
    return values.encode(given, labels, table.where), labels
