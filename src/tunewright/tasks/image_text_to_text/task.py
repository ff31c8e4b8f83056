"""Answers written to a prompt about an image, by a language model that reads images: cross-entropy of the answer's tokens.

Watched by likelihood, which is cheap; the test rows' answers are written out and judged as texts.
Source: Liu et al. 2023, Visual Instruction Tuning (LLaVA), section 4.2. When: questions about pictures, captions in own words,
forms to be read. When not: a class from a fixed list (classification), a search by words (image_text).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.arrays import object_array
from tunewright.core.types import Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.media import numbered
from tunewright.modalities.image_prompt import modality as image_prompt
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.quiet import quiet_transformers
from tunewright.tasks.seq2seq.task import answer as answer
from tunewright.tasks.seq2seq.task import badness as badness
from tunewright.tasks.seq2seq.task import decode as decode
from tunewright.tasks.seq2seq.task import shown as shown
from tunewright.tasks.shared.tokens import counts as counts
from tunewright.tasks.shared.tokens import keep as keep
from tunewright.tasks.shared.tokens import losses as losses
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "texts"
UNTARGETED = False
PIPELINE_TAGS = {"image_prompt": "image-text-to-text"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = None
READS = {"image_prompt": "AutoModelForImageTextToText"}
OUTPUT = "vocabulary"
BASELINES = ("before",)
METRICS = ("exact_match", "chrf", "rouge_l")
PRIMARY = "exact_match"
WATCHED = ("perplexity",)
DEFAULTS = {"data": {"max_length": 1024}}  # an image alone may have hundreds of places (a guess)

_ROWS = 8  # prompts of one length that are answered at once (a guess)


class Settings(BaseModel):
    """How long answers are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest: int = Field(128, ge=1, le=4096, description="Tokens that are learned and written of an answer at most (a guess).")


def encode(
    network: Network,
    inputs: list[tuple[Any, ...]],
    targets: np.ndarray | None,
    settings: Settings,
    max_length: int,
    where: Callable[[Sequence[int]], str] = numbered,
) -> EncodedDataset:
    """Each row's image and prompt, with the first right answer behind them where there is one."""
    answers = None if targets is None else [texts[0] for texts in targets]
    encoded = image_prompt.encode(inputs, answers, network.processor, network.longest(max_length), settings.longest, where)
    return EncodedDataset(encoded, None if answers is None else encoded.targets)


def generate(network: Network, examples: EncodedDataset, settings: Settings) -> Predictions:
    """The likeliest answer to each prompt, token by token, (n,) objects; in float32."""
    from transformers import GenerationConfig

    encoded: Any = examples.encoded
    tokenizer = network.processor.tokenizer
    config = GenerationConfig(
        max_new_tokens=settings.longest,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    written = [""] * len(encoded)
    lengths = encoded.prompts.lengths
    with evaluation_mode(network), quiet_transformers():
        for length in np.unique(lengths):
            alike = np.flatnonzero(lengths == length)
            for start in range(0, len(alike), _ROWS):
                rows = alike[start : start + _ROWS]
                read = {name: value.to(network.device) for name, value in encoded.asked(rows).items() if name in network.reads}
                made = network.inner.generate(**read, generation_config=config)
                for row, ids in zip(rows, made, strict=True):
                    written[row] = tokenizer.decode(ids[length:], skip_special_tokens=True).strip()
    return Predictions(object_array(written), None)
