"""What a trained model predicts for rows that come after its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunewright.core.registry import load_part
from tunewright.core.types import Predictions
from tunewright.inference.generation import untouched
from tunewright.training.evaluate import decode_all
from tunewright.training.predict import passes

if TYPE_CHECKING:
    import numpy as np

    from tunewright.artifacts.model_folder import Loaded
    from tunewright.datasets.encoded import EncodedDataset


def encoded(loaded: Loaded, inputs: Sequence[tuple[Any, ...]], targets: np.ndarray | None = None) -> EncodedDataset:
    """Rows as the model's head reads them."""
    head = load_part("tasks", loaded.head)
    made: EncodedDataset = head.encode(
        loaded.network, list(inputs), targets, head.Settings(**loaded.head_settings), loaded.max_length
    )
    return made


def predictions(
    loaded: Loaded, inputs: Sequence[tuple[Any, ...]], targets: np.ndarray | None = None, precision: str = "float32"
) -> Predictions:
    """One prediction for each row; ``precision`` is that of the run's own scores, 'auto' reads float32."""
    precision = "float32" if precision == "auto" else precision
    head, examples = load_part("tasks", loaded.head), encoded(loaded, inputs, targets)
    settings = head.Settings(**loaded.head_settings)
    if hasattr(head, "remember") and head.remembers(settings):
        examples = head.remember(examples, passes(untouched(loaded), examples, precision=precision))
    if hasattr(head, "generate"):
        written: Predictions = head.generate(loaded.network, examples, settings)
        return written
    return decode_all(head, loaded.labels, examples, passes(loaded.network, examples, precision=precision))[0]
