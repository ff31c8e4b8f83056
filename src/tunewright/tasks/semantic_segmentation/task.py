"""A class for each pixel: softmax cross-entropy over the pixels that have one, logits brought to the mask's size.

Source: Long et al. 2015, Fully convolutional networks, section 3; mean intersection over union: Everingham et al. 2010.
When: where things are matters, to the pixel. When not: what is there is enough (classification), or where roughly (detection).
Images and masks are compared at the size that the model reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.arrays import object_array
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.media import numbered
from tunewright.datasets.targets.masks import NO_CLASS
from tunewright.modalities.image import modality as image
from tunewright.modalities.image.annotated import Encoded
from tunewright.modalities.image.augment import mirrored as mirrored
from tunewright.models.network import Network
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "masks"
UNTARGETED = False
PIPELINE_TAGS = {"image": "image-segmentation"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.pixels)
READS = {"image": "AutoModelForSemanticSegmentation"}
OUTPUT = "logits"
BASELINES = ("majority",)
METRICS = ("mean_iou", "pixel_accuracy")
PRIMARY = "mean_iou"

_NEAREST = 0  # Pillow's number


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread over all classes (Szegedy et al. 2016)."
    )


def encode(
    network: Network,
    inputs: list[tuple[Any, ...]],
    targets: np.ndarray | None,
    settings: Settings,
    max_length: int,
    where: Callable[[Sequence[int]], str] = numbered,
) -> EncodedDataset:
    """Images as the model reads them; masks go through the same resizing and cropping, by the nearest pixel."""
    images = image.encode(inputs, network.processor, where=where)
    if targets is None:
        return EncodedDataset(Encoded(images, None), None)
    from PIL import Image

    plain = replace(network.processor, resample=_NEAREST, flip=False)
    masks = np.stack([plain.apply(Image.fromarray(mask))[0] for mask in targets])
    return EncodedDataset(Encoded(images, masks), masks)


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Summed loss of each image's pixels, (batch,), of logits (batch, classes, h, w) and masks (batch, height, width)."""
    each = functional.cross_entropy(
        enlarged(output, targets.shape[-2:]),
        targets.long(),
        reduction="none",
        ignore_index=NO_CLASS,
        label_smoothing=settings.label_smoothing,
    )
    return each.sum((1, 2))


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """Pixels of each image that have a class, (batch,)."""
    return (targets != NO_CLASS).sum((1, 2)).float()


def enlarged(output: Tensor, size: Sequence[int]) -> Tensor:
    """Logits at each pixel, (batch, classes, height, width), bilinear as transformers' own losses have it."""
    return functional.interpolate(output, size=tuple(size), mode="bilinear", align_corners=False)


def keep(output: Tensor, encoded: Encoded, rows: np.ndarray) -> Any:
    """Pixels of each image by right and given class, (batch, classes, classes); without masks the classes themselves."""
    classes, size = output.shape[1], encoded.images.preprocessing
    given = enlarged(output.float(), (size.height, size.width)).argmax(1).cpu().numpy().astype(np.uint8)
    if encoded.known is None:
        return list(given)
    wanted = encoded.known[rows].astype(np.int64)
    pairs = [classes * right[right != NO_CLASS] + found[right != NO_CLASS] for right, found in zip(wanted, given, strict=True)]
    return np.stack([np.bincount(pair, minlength=classes**2).reshape(classes, classes) for pair in pairs])


def decode(kept: Any, labels: Labels, encoded: Encoded) -> Predictions:
    """Counts (n, classes, classes), or the masks themselves, (n,) objects, where the right ones are not known."""
    return Predictions(kept if isinstance(kept, np.ndarray) else object_array(kept), None)


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """The most frequent class of the training pixels for every pixel, counted at the masks' own size."""
    most = np.sum([_counted(mask, labels) for mask in train], axis=0).argmax()
    counted = np.zeros((len(wanted), labels.outputs, labels.outputs), dtype=np.int64)
    counted[:, :, most] = [_counted(mask, labels) for mask in wanted]
    return Predictions(counted, None)


def _counted(mask: np.ndarray, labels: Labels) -> np.ndarray:
    """Pixels of each class, (classes,)."""
    return np.bincount(mask[mask != NO_CLASS], minlength=labels.outputs)


def shown(value: np.ndarray, labels: Labels) -> str:
    """The share of each class: of a mask, or of what was given where counts were kept."""
    counted = value.sum(0) if value.dtype != np.uint8 else _counted(value, labels)
    shares = counted / max(1, counted.sum())
    return ", ".join(f"{name}: {share:.0%}" for name, share in zip(labels.names, shares, strict=True) if share)


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The mask as rows of class names' places, and the share of each class."""
    mask = predictions.values[index]
    return {"predicted": shown(mask, labels), "probability": None, "classes": list(labels.names), "mask": mask.tolist()}


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Share of each image's pixels that are wrong, (n,)."""
    right, all_ = np.trace(predictions.values, axis1=1, axis2=2), predictions.values.sum((1, 2))
    return np.asarray(1 - right / np.maximum(1, all_))
