"""Speech to text, frame by frame: connectionist temporal classification over characters, the likeliest path spelt out.

Source: Graves et al. 2006, sections 3 and 4; Baevski et al. 2020, wav2vec 2.0, section 4.4.
When: an encoder of speech (wav2vec 2.0, HuBERT, WavLM) and clips with their words. When not: a model with a decoder (Whisper),
or what is said matters less than which of a few commands it is (classification).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.media import numbered
from tunewright.datasets.ragged import IGNORED, ragged
from tunewright.modalities.audio import modality as audio
from tunewright.modalities.audio.transcribed import Encoded
from tunewright.models.network import Network
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "texts"
UNTARGETED = False
PIPELINE_TAGS = {"audio": "automatic-speech-recognition"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.frames)
READS = {"audio": "AutoModelForCTC"}
OUTPUT = "frames"
BASELINES = ("majority", "before")
METRICS = ("word_error_rate", "character_error_rate")
PRIMARY = "word_error_rate"
WITH_DECODER = "speech_seq2seq"
WATCHED = ("character_error_rate", "word_error_rate")  # the first words are right long after the first characters

_FRAMES, _BLANK, _TEXT = 0, 1, 2  # places in an example's target


class Settings(BaseModel):
    """The loss has no settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def encode(
    network: Network,
    inputs: list[tuple[Any, ...]],
    targets: np.ndarray | None,
    settings: Settings,
    max_length: int,
    where: Callable[[Sequence[int]], str] = numbered,
) -> EncodedDataset:
    """One example for each clip; its target is its frames, the blank's number, and the first right text's characters.

    A text that does not fit into the clip's frames is a ``UserError``: no path could spell it.
    """
    characters = network.processor.characters
    sounds = audio.encode(inputs, network.processor.sounds, where=where)
    frames = network.inner._get_feat_extract_output_lengths(torch.from_numpy(sounds.counts)).numpy()
    encoded = Encoded(sounds, np.maximum(1, frames).astype(np.int64), characters)
    if targets is None:
        return EncodedDataset(encoded, None)
    spelt = [np.array(characters.ids(texts[0]), dtype=np.int64) for texts in targets]
    _refuse_unspeakable(spelt, encoded.frames, where)
    rows = [np.array([count, characters.blank, *ids]) for count, ids in zip(encoded.frames, spelt, strict=True)]
    return EncodedDataset(encoded, ragged(rows))


def _refuse_unspeakable(spelt: list[np.ndarray], frames: np.ndarray, where: Callable[[Sequence[int]], str]) -> None:
    """Texts with no known character, and texts longer than their clip: equal neighbors need a blank between them."""
    silent = [row for row, ids in enumerate(spelt) if not len(ids)]
    if silent:
        raise UserError(f"{where(silent)}: the text has no character that the model can spell", try_="mend or remove these rows")
    needed = [len(ids) + int((ids[1:] == ids[:-1]).sum()) for ids in spelt]
    long = [row for row, count in enumerate(needed) if count > frames[row]]
    if long:
        first = long[0]
        raise UserError(
            f"{where(long)}: a text needs {needed[first]} frames and its clip has {frames[first]}",
            expected="clips that hold their whole text",
            try_="mend or remove these rows, or raise data.max_seconds where clips were cut",
        )


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Negative log-probability of each text over all its paths, (batch,), of logits (batch, frames, tokens)."""
    wanted = targets[:, _TEXT:]
    known = wanted != IGNORED
    found: Tensor = functional.ctc_loss(
        output.float().log_softmax(-1).transpose(0, 1),
        wanted.clamp(min=0),
        targets[:, _FRAMES],
        known.sum(1),
        blank=int(targets[0, _BLANK]),
        reduction="none",
    )
    return found


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """Characters of each text, (batch,)."""
    return (targets[:, _TEXT:] != IGNORED).sum(1).float()


def keep(output: Tensor, encoded: Encoded, rows: np.ndarray) -> list[np.ndarray]:
    """The likeliest token of each frame of a clip, equal neighbors as one."""
    best = output.argmax(-1).cpu().numpy()
    paths = [path[:count] for path, count in zip(best, encoded.frames[rows], strict=True)]
    return [path[np.concatenate([[True], path[1:] != path[:-1]])] for path in paths]


def decode(kept: list[np.ndarray], labels: Labels, encoded: Encoded) -> Predictions:
    """The text of each clip: its tokens without the blanks."""
    characters = encoded.characters
    return Predictions(object_array(characters.text(path[path != characters.blank]) for path in kept), None)


def shown(value: Any, labels: Labels) -> str:
    """A text, or all right ones."""
    return str(value if isinstance(value, str) else " | ".join(value)) or "(nothing)"


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The text."""
    return {"predicted": predictions.values[index], "probability": None}


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """The commonest text of the training rows for each row of ``wanted``."""
    most = Counter(texts[0] for texts in train).most_common(1)[0][0]
    return Predictions(object_array([most] * len(wanted)), None)
