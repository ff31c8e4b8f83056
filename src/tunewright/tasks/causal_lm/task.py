"""A language model's next words: cross-entropy of each learned token given those before it.

Of raw text every token is learned; of conversations the answers alone, each with the token that ends it.
Source: Radford et al. 2019, GPT-2; answers alone: Ouyang et al. 2022, InstructGPT. When: a causal model is to write as the rows
do, or to answer as they do. When not: a masked model (masked_language); the better of two answers (preference).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.rows import Rows
from tunewright.modalities.language import audit as looking
from tunewright.modalities.language import causal as language
from tunewright.modalities.language import chat_template, packed
from tunewright.modalities.language.audit import Audit
from tunewright.models.network import Network
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.tokens import by_row
from tunewright.tasks.shared.tokens import counts as counts
from tunewright.tasks.shared.tokens import keep as keep
from tunewright.tasks.shared.tokens import losses as losses
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "unsupervised"
UNTARGETED = True
PIPELINE_TAGS = {"text": "text-generation"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.next_words)
READS = {"conversation": "AutoModelForCausalLM", "text": "AutoModelForCausalLM"}
OUTPUT = "vocabulary"
BASELINES = ("before",)
METRICS = ("perplexity", "bits_per_byte")
PRIMARY = "perplexity"
LONGEST = 1024  # tokens of an example where the recipe names none (a guess)
DEFAULTS = {"data": {"max_length": LONGEST}}


class Settings(BaseModel):
    """What is read of raw text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ends: bool = Field(
        False,
        description="Close each text with the end-of-text token; for rows that are whole documents, not passages.",
    )


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Conversations one by one in the words of the chat template; raw text in blocks, several for a long row.

    A template that the tokenizer did not bring is given to it, so that it is saved with the model.
    """
    tokenizer, longest = network.tokenizer, network.longest(max_length)
    if network.form.kind == "conversation":
        template = chosen_template(network)
        encoded = language.encode_conversations(tokenizer, [row[0] for row in inputs], longest, template=template)
    else:
        encoded = language.encode_raw(tokenizer, [_one_text(row) for row in inputs], longest, ends=settings.ends)
    return EncodedDataset(encoded, encoded.targets)


def chosen_template(network: Network) -> chat_template.Template:
    """The tokenizer's own chat template, or the one that it is given."""
    template = chat_template.choose(network.tokenizer)
    if not template.own:
        network.tokenizer.chat_template = template.source
    return template


def _one_text(row: tuple[Any, ...]) -> str:
    if len(row) != 1:
        raise UserError(f"{len(row)} text columns were named for a language model", expected="one column of raw text")
    return str(row[0])


def audit(network: Network, rows: Mapping[str, Rows], examples: Mapping[str, EncodedDataset]) -> Audit:
    """What is about to be learned of the training rows; a part of which nothing is learned is a ``UserError``."""
    for part in rows:
        encoded: Any = examples[part].encoded
        if not encoded.learn.any():
            raise looking.nothing_learned(encoded, part)
    train: Any = examples["train"].encoded
    raw = network.form.kind == "text"
    found = looking.audit(
        train, network.tokenizer, numbers=rows["train"].numbers[train.rows].tolist(), unit="block of row" if raw else "row"
    )
    if raw:
        return found
    conversations = [row[0] for row in rows["train"].inputs]
    held = looking.tokens_in_text(chat_template.choose(network.tokenizer), conversations, list(rows["train"].numbers))
    lines = (f"written in {train.said}", *found.lines, *(finding.message for finding in held))
    return Audit((*found.findings, *held), lines, found.share)


def for_training(examples: EncodedDataset, network: Network, packing: bool) -> EncodedDataset:
    """The training rows, several in a longer one where they are to be packed."""
    if not packing:
        return examples
    flat: Any = examples.encoded
    if "position_ids" not in network.reads or not len(flat):
        raise UserError(
            f"the rows of {type(network.inner).__name__} cannot be packed: it takes no positions", try_="training.packing: off"
        )
    encoded = packed.Encoded(flat, network.longest(max(int(flat.lengths.max()), LONGEST)), network.inner.config)
    return EncodedDataset(encoded, packed.Targets(encoded))


def decode(kept: np.ndarray, labels: Labels, encoded: language.Encoded) -> Predictions:
    """The same sums for each row, (n, 3)."""
    return Predictions(by_row(kept, encoded.rows, 3), None)


def shown(value: np.ndarray | None, labels: Labels) -> str:
    """Loss per token in words; there is no target."""
    if value is None:
        return ""
    return f"{value[0] / value[1]:.3f} nats per token" if value[1] else "nothing learned"


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """How likely a row is: its perplexity."""
    nats, tokens = predictions.values[index][:2]
    return {"predicted": float(np.exp(nats / tokens)) if tokens else None, "probability": None}


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Loss per token of each row, (n,)."""
    values = predictions.values
    each: np.ndarray = values[:, 0] / np.maximum(values[:, 1], 1)
    return each
