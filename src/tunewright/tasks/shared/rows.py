"""What heads with one answer for each row share: encoding, what is kept of the output, and answers as people read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy as np
from torch import Tensor

from tunewright.core.registry import load_part
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import Encoded, EncodedDataset
from tunewright.datasets.media import numbered
from tunewright.modalities.text.modality import encode_texts
from tunewright.models.network import Network

# The hubs' words for one answer for each row, by modality.
PIPELINE_TAGS = {
    "text": "text-classification",
    "image": "image-classification",
    "audio": "audio-classification",
    "video": "video-classification",
    "table": "tabular-classification",
}
READS = {
    "text": "AutoModelForSequenceClassification",
    "image": "AutoModelForImageClassification",
    "video": "AutoModelForImageClassification",
    "audio": "AutoModelForAudioClassification",
    "table": "TableTransformer",
    "mixed": "MixedNetwork",
}


def encode(
    network: Network,
    inputs: list[tuple[Any, ...]],
    targets: np.ndarray | None,
    settings: Any,
    max_length: int,
    where: Callable[[Sequence[int]], str] = numbered,
) -> EncodedDataset:
    """One example for each row, read by the encoder of the network's input kind; ``where`` words rows that cannot be read."""
    if network.form.kind == "text":
        return EncodedDataset(encode_texts(network.tokenizer, inputs, network.longest(max_length)), targets)
    encoder = load_part("modalities", network.form.kind)
    longest = {"max_length": max_length} if "max_length" in signature(encoder.encode).parameters else {}
    return EncodedDataset(encoder.encode(inputs, network.processor, where=where, **longest), targets)


def keep(output: Tensor, encoded: Encoded, rows: np.ndarray) -> np.ndarray:
    """Logits of each row, (batch, outputs)."""
    kept: np.ndarray = output.float().cpu().numpy()
    return kept


def shown(value: Any, labels: Labels) -> str:
    """A target or a prediction as people read it."""
    if np.ndim(value):
        return "|".join(name for name, on in zip(labels.names, value, strict=True) if on) or "(none)"
    return labels.names[int(value)] if labels.names else f"{float(value):.6g}"


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """One row's prediction and its probability, None where there is none."""
    value, probabilities = predictions.values[index], predictions.probabilities
    if probabilities is None:
        return {"predicted": float(value), "probability": None}
    shares = {name: float(share) for name, share in zip(labels.names, probabilities[index], strict=True)}
    if np.ndim(value):
        chosen = [name for name, on in zip(labels.names, value, strict=True) if on]
        return {"predicted": chosen, "probability": None, "probabilities": shares}
    name = labels.names[int(value)]
    return {"predicted": name, "probability": shares[name], "probabilities": shares}
