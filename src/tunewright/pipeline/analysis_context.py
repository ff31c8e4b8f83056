"""A run as the reports ask it: its model and rows behind the functions that compute with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.analysis.context import AnalysisContext, Inputs
from tunewright.artifacts.model_folder import Loaded
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.types import Predictions
from tunewright.datasets.cells import cells_of
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.groups import placed
from tunewright.datasets.prepare import DatasetSplits
from tunewright.datasets.rows import Rows
from tunewright.inference.predictions import encoded, predictions
from tunewright.modalities.language import causal as language
from tunewright.models.network import Network
from tunewright.models.torch_module import Backbone
from tunewright.pipeline.steps import PARTS, PreparedRun, untuned
from tunewright.tasks.shared.group_thresholds import decided_by
from tunewright.training.evaluate import decode_all
from tunewright.training.predict import passes, predict_features, predict_logits, predict_states


def subject_of(
    loaded: Loaded,
    recipe: Recipe,
    prepared: DatasetSplits,
    folder: Path,
    *,
    tested: Predictions | None = None,
    backbone: Backbone | None = None,
    frozen: Mapping[str, np.ndarray] | None = None,
) -> AnalysisContext:
    """The trained model with the rows it was trained on.

    ``tested``: what it predicted for the test rows, where that is known; ``frozen``: so the untuned features of whole parts.
    """
    rows = {part: found for part in PARTS if isinstance(found := getattr(prepared, part), Rows)}
    head, precision = load_part("tasks", loaded.head), recipe.training.precision
    arithmetic = "float32" if precision == "auto" else precision

    def by_group(found: Predictions, part: str, chosen: np.ndarray | None = None) -> Predictions:
        """With the thresholds of the groups of a part's rows, or of the ``chosen`` ones, where the model has any."""
        groups = loaded.labels.groups
        if groups is None:
            return found
        cells = cells_of(prepared, part, groups.column)
        cells = cells if chosen is None else [cells[place] for place in chosen]
        return decided_by(found, placed(cells, groups.names, groups.edges), groups)

    def predict(inputs: Inputs, tests: np.ndarray | None = None) -> Predictions:
        found = predictions(loaded, inputs, None, precision)
        return found if tests is None else by_group(found, "test", tests)

    @cache
    def answers(part: str) -> Predictions:
        if part == "test" and tested is not None:
            return tested
        return by_group(predictions(loaded, rows[part].inputs, rows[part].targets, precision), part)

    @cache
    def before() -> Network:
        """The network with its new head, as training found it; it reads rows as the trained one does."""
        network = untuned(recipe, prepared, head, backbone)
        network.processor = loaded.network.processor
        return network.eval()

    def network(untouched: bool) -> Network:
        return before() if untouched else loaded.network

    known = _untuned(rows, frozen or {})

    def features(inputs: Inputs, untouched: bool = False) -> np.ndarray:
        if untouched and len(inputs) and all(id(row) in known for row in inputs):
            return np.stack([known[id(row)] for row in inputs])
        return predict_features(network(untouched), encoded(loaded, inputs), precision=arithmetic)

    def logits(inputs: Inputs) -> np.ndarray:
        found: np.ndarray = predict_logits(loaded.network, encoded(loaded, inputs), precision=arithmetic)
        return found

    def states(of: Rows, untouched: bool = False) -> dict[str, np.ndarray]:
        return predict_states(network(untouched), encoded(loaded, of.inputs, of.targets), precision=arithmetic)

    def likelihoods(texts: Sequence[str], untouched: bool = False) -> np.ndarray:
        return _likelihoods(network(untouched), texts, loaded.max_length, arithmetic)

    return AnalysisContext(
        head=head,
        labels=loaded.labels,
        schema=prepared.schema,
        rows=rows,
        answers=answers,
        predict=predict,
        encode=lambda inputs: encoded(loaded, inputs),
        logits=_kept(rows, logits),
        features=_kept(rows, features),
        states=states,
        likelihoods=likelihoods,
        network=network,
        column=lambda part, name: cells_of(prepared, part, name),
        folder=folder,
        seed=recipe.seed,
        confidence=recipe.evaluation.confidence,
        resamples=recipe.evaluation.resamples,
    )


def _untuned(rows: Mapping[str, Rows], frozen: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    """The features of each row, by the identity of its input; none of a part that has not one for each of its rows."""
    parts = [(rows[part].inputs, found) for part, found in frozen.items() if part in rows and len(found) == len(rows[part])]
    return {id(row): features for inputs, found in parts for row, features in zip(inputs, found, strict=True)}


def loaded_of(setup: PreparedRun) -> Loaded:
    """The network that was just trained, as it would be reloaded."""
    return Loaded(
        setup.network,
        setup.prepared.labels,
        setup.head_name,
        setup.head_settings.model_dump(mode="json"),
        setup.recipe.data.max_length,
        setup.prepared.schema.as_dict(),
        setup.recipe.method.name,
    )


def _kept(rows: dict[str, Rows], compute: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """``compute``, which answers a second time from memory where it is asked for all rows of a part."""
    known: dict[tuple[Any, ...], np.ndarray] = {}
    own = {id(part.inputs): name for name, part in rows.items()}

    def kept(inputs: Sequence[Any], *how: Any) -> np.ndarray:
        name = own.get(id(inputs))
        if name is None:
            return compute(inputs, *how)
        if (name, *how) not in known:
            known[(name, *how)] = compute(inputs, *how)
        return known[(name, *how)]

    return kept


def _likelihoods(network: Network, texts: Sequence[str], max_length: int, precision: str) -> np.ndarray:
    """Nats, tokens and bytes of each text, (n, 3), whatever rows the network was tuned on."""
    if network.form.output != "vocabulary":
        raise UserError(
            "texts alone are asked of a language model, and this is none", expected="reference rows with a class or a number"
        )
    head = load_part("tasks", "masked_lm" if network.form.auto == "AutoModelForMaskedLM" else "causal_lm")
    if network.form.auto == "AutoModelForMaskedLM":
        examples = head.encode(network, [(text,) for text in texts], None, head.Settings(), max_length)
    else:
        flat = language.encode_raw(network.tokenizer, list(texts), network.longest(max_length), ends=False)
        examples = EncodedDataset(flat, flat.targets)
    found: np.ndarray = decode_all(head, network.labels, examples, passes(network, examples, precision=precision))[0].values
    return found
