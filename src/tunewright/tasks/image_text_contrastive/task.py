"""One space for images and texts: each image finds its text among all others of the batch, and each text its image.

The model's own learned scale (and bias) turn cosines into scores. What shares its image or its text is no negative.
Source: Radford et al. 2021 (CLIP), section 2.3 and figure 3 (both directions, learned temperature, held at 100 at most); Zhai et
al. 2023, Sigmoid Loss for Language Image Pre-Training (SigLIP), section 3.2. When: pictures that are searched or named by words,
classes that are named later. When not: a fixed list of classes with many rows each (classification).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.media import numbered
from tunewright.datasets.rows import Rows
from tunewright.modalities.captioned import modality as captioned
from tunewright.modalities.text.modality import encode_texts
from tunewright.models.dual_encoder import OWN, reads_padding
from tunewright.models.network import Network, evaluation_mode
from tunewright.tasks.shared.weights import class_weights as class_weights
from tunewright.tasks.shared.weights import counts as counts

TARGETS = "retrieval"
UNTARGETED = False
PIPELINE_TAGS = {"captioned": "zero-shot-image-classification"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = None
READS = {"captioned": "AutoModel"}
OUTPUT = "pairs"
WHOLE_BATCH = True
BASELINES = ("before",)
METRICS = ("mean_reciprocal_rank", "text:recall_at_1", "text:recall_at_10", "image:recall_at_1", "image:recall_at_10")
PRIMARY = "mean_reciprocal_rank"

_LARGEST = math.log(100)  # of the scale: the paper's clip
_BLOCK = 1024  # rows that are compared with all others at once


class Settings(BaseModel):
    """The loss, and what stands around each text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: Literal["auto", "softmax", "sigmoid"] = Field(
        "auto", description="softmax as CLIP, sigmoid as SigLIP; auto takes sigmoid where the model adds a bias to its scores."
    )
    template: str = Field(
        "{}", description="Each text stands in the place of {}: 'a photo of a {}.' for names of classes (Radford et al. 2021)."
    )


def settled(settings: Settings, network: Network, train: Rows) -> tuple[Settings, tuple[str, ...]]:
    """The settings as they are; rows whose texts are all the same have nothing to tell apart and are a ``UserError``."""
    texts = {words for _, words in train.inputs}
    if len(texts) == 1:
        raise UserError(f"all {len(train.inputs):,} training texts are {texts.pop()!r:.80}", expected="two texts or more")
    return settings, ()


def encode(
    network: Network,
    inputs: list[tuple[Any, ...]],
    targets: np.ndarray | None,
    settings: Settings,
    max_length: int,
    where: Callable[[Sequence[int]], str] = numbered,
) -> EncodedDataset:
    """Each row's image and its text in the template, with numbers that say which are the same, (n, 2)."""
    if settings.template.count("{}") != 1:
        raise UserError(f"head.template is {settings.template!r}", expected="a text with {} once, as 'a photo of a {}.'")
    rows = [(picture, settings.template.replace("{}", words)) for picture, words in inputs]
    longest = network.longest(max_length)
    width = network.longest(2**31) if _fills(network) else None
    encoded = captioned.encode(rows, network.processor, longest, width=width, known=targets is not None, where=where)
    return EncodedDataset(encoded, encoded.ids)


def _fills(network: Network) -> bool:
    """Whether the network reads texts that are filled up to its own length."""
    ids = encode_texts(network.processor.tokenizer, [("a",)], 8).row(0)
    with evaluation_mode(network):
        return reads_padding(network.inner, ids, network.processor.pad)


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Loss of each pair in both directions, (batch,), of (batch, 2, width + 2) and numbers of images and texts (batch, 2)."""
    vectors, own = output[..., :-OWN], output[..., -OWN:].flatten(0, 1).mean(0)
    scores = own[0].clamp(max=_LARGEST).exp() * (vectors[:, 0] @ vectors[:, 1].T) + own[1]
    same = (targets[:, None] == targets[None]).any(-1).fill_diagonal_(False)
    if settings.objective == "sigmoid" or (settings.objective == "auto" and bool(own[1] != 0)):
        sign = 2 * torch.eye(len(scores), device=scores.device) - 1
        return -functional.logsigmoid(sign * scores).masked_fill(same, 0).sum(1)
    scores = scores.masked_fill(same, float("-inf"))
    rows = torch.arange(len(scores), device=scores.device)
    each = [functional.cross_entropy(one, rows, reduction="none") for one in (scores, scores.T)]
    return (each[0] + each[1]) / 2


def keep(output: Tensor, encoded: captioned.Encoded, rows: np.ndarray) -> np.ndarray:
    """The vectors of each row's image and text, (batch, 2, width)."""
    kept: np.ndarray = output[..., :-OWN].float().cpu().numpy()
    return kept


def decode(kept: np.ndarray, labels: Labels, encoded: captioned.Encoded) -> Predictions:
    """Ranks of each image's first right text and each text's first right image among all that differ, (n, 2), from 1.

    Of pairs that are only to be compared, both vectors, (n, 2, width).
    """
    if encoded.ids is None or not len(kept):
        return Predictions(kept, None)
    images, texts = encoded.ids.T
    first_text, first_image = (np.unique(one, return_index=True)[1] for one in (texts, images))
    found = [
        _ranks(kept[:, 0], images, kept[first_text, 1], texts[first_text], texts),
        _ranks(kept[:, 1], texts, kept[first_image, 0], images[first_image], images),
    ]
    return Predictions(np.stack(found, 1), None)


def _ranks(queries: np.ndarray, asked: np.ndarray, candidates: np.ndarray, names: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """1 and the number of wrong candidates before the first right one, (n,): right is all that stands beside the same query."""
    beside: dict[int, set[int]] = {}
    for one, other in zip(asked.tolist(), wanted.tolist(), strict=True):
        beside.setdefault(one, set()).add(other)
    place = {int(name): index for index, name in enumerate(names)}
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ candidates.T
        right = np.zeros(scores.shape, dtype=bool)
        for row, one in enumerate(asked[start : start + _BLOCK].tolist()):
            right[row, [place[other] for other in beside[one]]] = True
        best = np.where(right, scores, -np.inf).max(1)
        ranks[start : start + _BLOCK] = 1 + (~right & (scores > best[:, None])).sum(1)
    return ranks


def shown(value: Any, labels: Labels) -> str:
    """Both ranks, or nothing of a target."""
    return "" if value is None else f"text {value[0]}, image {value[1]}"


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Texts and images that came before the right ones, (n,)."""
    found: np.ndarray = (predictions.values - 1).sum(1).astype(np.float64)
    return found


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The cosine of the row's image and text, and both vectors."""
    image, text = predictions.values[index]
    return {"predicted": float(image @ text), "probability": None, "image": image.tolist(), "text": text.tolist()}
