"""Boxes with classes, as a set: each right box is matched with one of the network's queries, the others are to say 'nothing'.

Source: Carion et al. 2020, DETR, section 3.1 (matching and loss) and appendix A.4 (weights); Rezatofighi et al. 2019 (generalized
overlap). Divided image by image, so that batches can be cut anywhere; of one image it is DETR's loss. Detectors that give each
class a probability of its own (conditional, deformable DETR) have the focal loss: Zhu et al. 2021, Deformable DETR, appendix A.2.
When: what is where, roughly. When not: one answer for the whole image (classification), exact outlines (segmentation).
The picture is brought to one size with its sides out of proportion; YOLOS and DETR's relatives read that as well as any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.formats.image_files import size_of
from tunewright.datasets.media import numbered
from tunewright.metrics._boxes import overlaps
from tunewright.modalities.image import modality as image
from tunewright.modalities.image.annotated import Encoded
from tunewright.models.network import Network
from tunewright.tasks.shared.weights import class_weights as class_weights
from tunewright.tasks.shared.weights import counts as counts

TARGETS = "boxes"
UNTARGETED = False
PIPELINE_TAGS = {"image": "object-detection"}
TEACHER_ANSWERS_ONCE = False
READS = {"image": "AutoModelForObjectDetection"}
OUTPUT = "boxes"
BASELINES = ("majority",)
METRICS = ("mean_average_precision", "average_precision_50")
PRIMARY = "mean_average_precision"

_ALPHA, _GAMMA, _FOCAL = 0.25, 2.0, 2.0  # Zhu et al. 2021, appendix A.2: the focal loss and its weight
_SHOWN = 0.5  # score from which a box is told to people (a guess); metrics read all


class Settings(BaseModel):
    """Weights of the loss and of the matching."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: float = Field(5.0, ge=0, description="Weight of the corners' distance, L1 in shares of the sides (Carion et al. 2020).")
    overlap: float = Field(2.0, ge=0, description="Weight of one minus the generalized overlap (Carion et al. 2020).")
    nothing: float = Field(0.1, gt=0, le=1, description="Weight of queries without an object (Carion et al. 2020).")


def encode(
    network: Network,
    inputs: list[tuple[Any, ...]],
    targets: np.ndarray | None,
    settings: Settings,
    max_length: int,
    where: Callable[[Sequence[int]], str] = numbered,
) -> EncodedDataset:
    """Images as the model reads them; targets (n, most, 5): centre and sides as shares of the image, and class, -1 for none."""
    _refuse_two_stages(network)
    if network.processor.resize is None or network.processor.crop:
        raise UserError(
            f"the image processor of {network.base} cuts pieces off, with the boxes in them",
            expected="one size for the whole image",
            try_="data.image_size: 512",
        )
    images = image.encode(inputs, network.processor, where=where)
    sizes = np.array([size_of(row[0]) for row in inputs], dtype=np.float64).reshape(-1, 2)
    if targets is None:
        return EncodedDataset(Encoded(images, sizes), None)
    wanted = np.full((len(inputs), max([1, *(len(classes) for _, classes in targets)]), 5), -1.0, dtype=np.float32)
    for row, (boxes, classes) in enumerate(targets):
        shares = boxes / np.tile(sizes[row], 2)
        wanted[row, : len(classes), :2] = (shares[:, :2] + shares[:, 2:]) / 2
        wanted[row, : len(classes), 2:4] = shares[:, 2:] - shares[:, :2]
        wanted[row, : len(classes), 4] = classes
    return EncodedDataset(Encoded(images, sizes), wanted)


def _refuse_two_stages(network: Network) -> None:
    """A detector that chooses its queries by layers with a loss of their own would keep them as they are."""
    stages = getattr(network.inner.config, "two_stage", False)
    if stages or any("enc_score_head" in name for name, _ in network.named_parameters()):
        raise UserError(
            f"{type(network.inner).__name__} proposes boxes in a first stage, whose loss is not here",
            expected="DETR, YOLOS, conditional DETR, or deformable DETR of one stage",
        )


def mirrored(targets: Tensor, chosen: Tensor) -> Tensor:
    """Targets (batch, most, 5) of images of which some were mirrored: their centres lie on the other side."""
    side = torch.where(chosen[:, None] & (targets[..., 4] >= 0), 1 - targets[..., 0], targets[..., 0])
    return torch.cat([side[..., None], targets[..., 1:]], -1)


def losses(output: dict[str, Tensor], targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Loss of each image, (batch,), of boxes (batch, queries, 4) with logits (…, classes + 1) or odds (…, classes)."""
    rows = [{name: part[row].float() for name, part in output.items()} for row in range(len(targets))]
    return torch.stack([_of_image(row, wanted[wanted[:, 4] >= 0], settings) for row, wanted in zip(rows, targets, strict=True)])


def _of_image(output: dict[str, Tensor], wanted: Tensor, settings: Settings) -> Tensor:
    boxes, right, kinds = output["boxes"], wanted[:, :4], wanted[:, 4].long()
    queries, objects = match(output, right, kinds, settings)
    loss = _of_classes(output, queries, kinds[objects], settings)
    if len(objects):
        distance = (boxes[queries] - right[objects]).abs().sum()
        apart = (1 - generalized_overlap(corners(boxes[queries]), corners(right[objects])).diagonal()).sum()
        loss = loss + (settings.box * distance + settings.overlap * apart) / len(wanted)
    return loss


def _of_classes(output: dict[str, Tensor], queries: Tensor, kinds: Tensor, settings: Settings) -> Tensor:
    """Cross-entropy with 'nothing' as a class, or the focal loss of each class on its own."""
    if "odds" in output:
        wanted = torch.zeros_like(output["odds"])
        wanted[queries, kinds] = 1
        shares = output["odds"].sigmoid()
        missed = torch.where(wanted > 0, 1 - shares, shares)
        balance = torch.where(wanted > 0, _ALPHA, 1 - _ALPHA)
        plain = functional.binary_cross_entropy_with_logits(output["odds"], wanted, reduction="none")
        return _FOCAL * (balance * missed**_GAMMA * plain).sum() / max(1, len(kinds))
    logits, nothing = output["logits"], output["logits"].shape[-1] - 1
    classes = torch.full((len(logits),), nothing, device=logits.device)
    classes[queries] = kinds
    weight = torch.ones(nothing + 1, device=logits.device)
    weight[nothing] = settings.nothing
    return functional.cross_entropy(logits, classes, weight)


@torch.no_grad()
def match(output: dict[str, Tensor], right: Tensor, kinds: Tensor, settings: Settings) -> tuple[Tensor, Tensor]:
    """Queries and objects that belong together at the least cost, at most one of each (Kuhn 1955)."""
    from scipy.optimize import linear_sum_assignment

    boxes, shares = output["boxes"], scores(output)[:, kinds]
    cost = settings.box * torch.cdist(boxes, right, p=1) - settings.overlap * generalized_overlap(corners(boxes), corners(right))
    if "odds" in output:  # what the focal loss would lose less as an object than as nothing
        as_object = _ALPHA * (1 - shares) ** _GAMMA * -(shares + 1e-8).log()
        cost = cost + _FOCAL * (as_object - (1 - _ALPHA) * shares**_GAMMA * -(1 - shares + 1e-8).log())
    else:
        cost = cost - shares
    queries, objects = linear_sum_assignment(cost.nan_to_num(1e6).cpu().numpy())
    return torch.from_numpy(queries).to(boxes.device), torch.from_numpy(objects).to(boxes.device)


def scores(output: dict[str, Tensor]) -> Tensor:
    """Probability of each class, (…, queries, classes)."""
    return output["odds"].float().sigmoid() if "odds" in output else output["logits"].float().softmax(-1)[..., :-1]


def found(output: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The likeliest class of each query, and whether it is an object rather than nothing, both (…, queries)."""
    shares, kinds = scores(output).max(-1)
    nothing = 0.5 if "odds" in output else output["logits"].float().softmax(-1)[..., -1]
    return kinds, shares >= nothing


def corners(boxes: Tensor) -> Tensor:
    """(…, 4) left, top, right, bottom of centre and sides."""
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def generalized_overlap(first: Tensor, second: Tensor) -> Tensor:
    """Overlap of boxes (k, 4) and (j, 4) less the share of their common frame that neither fills, (k, j), from -1 to 1."""

    def area(low: Tensor, high: Tensor) -> Tensor:
        return (high - low).clamp(min=0).prod(-1)

    a, b = first[:, None], second[None]
    common = area(torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:]))
    union = area(a[..., :2], a[..., 2:]) + area(b[..., :2], b[..., 2:]) - common
    frame = area(torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:]))
    return common / union.clamp(min=1e-9) - (frame - union) / frame.clamp(min=1e-9)


def keep(output: dict[str, Tensor], encoded: Encoded, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Boxes in the image's own pixels, classes and scores of each image's queries."""
    sure, classes = scores(output).max(-1)
    shares = corners(output["boxes"].float()).clamp(0, 1).cpu().numpy()
    boxes = shares * np.tile(encoded.known[rows], 2)[:, None]  # known: how wide and high each image was
    return list(zip(boxes, classes.cpu().numpy(), sure.cpu().numpy(), strict=True))


def decode(kept: Any, labels: Labels, encoded: Encoded) -> Predictions:
    """(boxes, classes, scores) of each image, (n,) objects."""
    return Predictions(object_array(list(kept)), None)


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """Each class once in every image: its median training box in pixels, with the share of images that have it as score."""
    boxes, classes = (np.concatenate(parts) for parts in zip(*train, strict=True))
    known = np.unique(classes)
    middle = np.stack([np.median(boxes[classes == one], axis=0) for one in known])
    sure = np.array([np.mean([(some == one).any() for _, some in train]) for one in known])
    return Predictions(object_array((middle, known, sure) for _ in wanted), None)


def shown(value: Any, labels: Labels) -> str:
    """How many of each class: right ones, or those found with a score of one half or more."""
    classes = value[1] if len(value) == 2 else value[1][value[2] >= _SHOWN]
    found = Counter(labels.names[one] for one in classes)
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items())) or "(none)"


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The boxes with a score of one half or more, the surest first."""
    boxes, classes, scores = predictions.values[index]
    order = [one for one in np.argsort(-scores, kind="stable") if scores[one] >= _SHOWN]
    found = [
        {"box": [round(float(side), 1) for side in boxes[one]], "label": labels.names[classes[one]], "score": float(scores[one])}
        for one in order
    ]
    return {"predicted": found, "probability": None}


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Share of right and found boxes without a partner of their class that overlaps by half, (n,); found: a score of one half."""
    shares = []
    for (right, kinds), (boxes, classes, scores) in zip(targets, predictions.values, strict=True):
        found = scores >= _SHOWN
        partners = (overlaps(right, boxes[found]) >= 0.5) & (kinds[:, None] == classes[found][None])
        alone = (~partners.any(1)).sum() + (~partners.any(0)).sum()
        shares.append(alone / max(1, len(kinds) + found.sum()))
    return np.array(shares)


def distillation_loss(
    output: dict[str, Tensor],
    said: dict[str, Tensor],
    targets: Tensor,
    labels: Labels,
    temperature: float,
    settings: Settings,
    weights: Tensor | None,
) -> Tensor:
    """(batch,) the detector's own loss with the boxes that the teacher tells from nothing as targets; no temperature."""
    kinds, is_object = found(said)
    wanted = torch.cat([said["boxes"].float(), torch.where(is_object, kinds, -1)[..., None].float()], -1)
    return losses(output, wanted, labels, settings, None)
