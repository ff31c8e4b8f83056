"""What a trained model predicts for rows that come after its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tunewright.core.types import Predictions
from tunewright.inference.predictor import Predictor

if TYPE_CHECKING:
    import numpy as np

    from tunewright.artifacts.model_folder import Loaded
    from tunewright.datasets.encoded import EncodedDataset


def encoded(loaded: Loaded, inputs: Sequence[tuple[Any, ...]], targets: np.ndarray | None = None) -> EncodedDataset:
    """Rows as the model's head reads them."""
    return Predictor(loaded).encoded(inputs, targets)


def predictions(
    loaded: Loaded, inputs: Sequence[tuple[Any, ...]], targets: np.ndarray | None = None, precision: str = "float32"
) -> Predictions:
    """One prediction for each row; ``precision`` is that of the run's own scores, 'auto' reads float32."""
    return Predictor(loaded).predictions(inputs, targets, precision)
