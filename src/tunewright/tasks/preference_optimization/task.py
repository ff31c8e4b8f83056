"""The better of two answers: a language model learns from preferences, by one of several objectives (``preferences/``).

What the untouched network says of the answers is computed once, before anything moves, so that no second network is held.
Source: Rafailov et al. 2023 (DPO) and the sources of the objectives. When: pairs of answers, or answers with a thumb up or down
(kto), and a network that already follows instructions. When not: one right answer for each prompt (language).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from tunewright.config.recipe import Choice, Part
from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.types import Finding, Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.ragged import IGNORED
from tunewright.datasets.rows import Rows
from tunewright.modalities.conversation import modality as conversation
from tunewright.modalities.language import audit as looking
from tunewright.modalities.language import preference
from tunewright.modalities.language.audit import Audit
from tunewright.modalities.language.conversations import Judgement, Preference
from tunewright.models.network import Network
from tunewright.models.vocabulary import Vocabulary
from tunewright.preference_losses import Scored, kto
from tunewright.tasks.causal_lm import task as language
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "unsupervised"
UNTARGETED = False
PIPELINE_TAGS = {"conversation": "text-generation"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = None
READS = {"conversation": "AutoModelForCausalLM"}
OUTPUT = "vocabulary"
BASELINES = ()
METRICS = ("reward_accuracy", "reward_margin")
PRIMARY = "reward_accuracy"
DEFAULTS = language.DEFAULTS


class Settings(BaseModel):
    """Which loss on the answers' log-probabilities."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: Part = Field(
        Choice(name="dpo"), description="One of `tunewright parts preferences` with its settings: {name: ipo, tau: 0.2}."
    )

    @field_validator("objective")
    @classmethod
    def _usable(cls, objective: Choice) -> Choice:
        try:
            load_part("preference_losses", objective.name).Settings(**objective.settings)
        except UserError as error:
            raise ValueError(str(error)) from None
        return objective


def settled(settings: Settings, network: Network, train: Rows) -> tuple[Settings, tuple[str, ...]]:
    """The settings with the one objective that learns from judged answers, where the rows have such and none was named."""
    if "objective" in settings.model_fields_set or not all(isinstance(row[0], Judgement) for row in train.inputs):
        return settings, ()
    said = "Objective: kto (guessed: each row has one answer that is judged)."
    return settings.model_copy(update={"objective": Choice(name="kto")}), (said,)


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Two texts for each example, in the words of the chat template."""
    part = load_part("preference_losses", settings.objective.name)
    template, longest = language.chosen_template(network), network.longest(max_length)
    rows = [row[0] for row in inputs]
    encoded = preference.encode(network.tokenizer, rows, longest, template, (part, part.Settings(**settings.objective.settings)))
    return EncodedDataset(encoded, preference.Targets(encoded))


def remembers(settings: Settings) -> bool:
    """Whether the objective compares with the untouched network."""
    return bool(load_part("preference_losses", settings.objective.name).NEEDS_REFERENCE)


def remember(examples: EncodedDataset, passes: Iterable[tuple[np.ndarray, Any]]) -> EncodedDataset:
    """The examples with what the untouched network says of them: ``passes`` are its outputs."""
    encoded: Any = examples.encoded
    reference = encoded.reference.copy()
    for rows, output in passes:
        labels = torch.from_numpy(encoded.flat.targets.padded(encoded.texts(rows), encoded.flat.side)).to(output.hidden.device)
        with torch.no_grad():
            reference[rows] = _summed(output, labels)[0].reshape(2, -1).T.cpu().numpy()
    known = replace(encoded, reference=reference)
    return EncodedDataset(known, preference.Targets(known))


def audit(network: Network, rows: Mapping[str, Rows], examples: Mapping[str, EncodedDataset]) -> Audit:
    """What is about to be learned of the training rows; answers that are the same, or of which nothing is left, are said."""
    unjudged: list[Finding] = []
    for part in rows:
        encoded: Any = examples[part].encoded
        if not encoded.flat.learn.any():
            raise looking.nothing_learned(encoded.flat, part)
        if part != "train":  # of the training rows every such answer is told below
            unjudged += looking.unjudged(encoded, part, list(rows[part].numbers))
    train: Any = examples["train"].encoded
    numbers = list(rows["train"].numbers)
    of_texts = np.repeat(np.array(numbers)[train.rows], 2).tolist()
    found = looking.audit(train.flat, network.tokenizer, numbers=of_texts, unit="answer of row")
    given = [row[0] for row in rows["train"].inputs]
    held = looking.tokens_in_text(language.chosen_template(network), [conversation.messages_of(row) for row in given], numbers)
    held += unjudged
    if all(isinstance(row, Preference) for row in given):
        held += looking.equal_answers(given, numbers)
    lines = (f"written in {train.flat.said}", *found.lines, *(finding.message for finding in held))
    return Audit((*found.findings, *held), lines, found.share)


def losses(output: Vocabulary, targets: dict[str, Tensor], labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """The objective's loss of each example, (batch,), of the output for (2 batch, tokens)."""
    part = load_part("preference_losses", settings.objective.name)
    chosen = part.Settings(**settings.objective.settings)
    sums, lengths = _summed(output, targets["labels"])
    (first, second), (one, two) = sums.chunk(2), lengths.chunk(2)
    reference = targets["reference"] if part.NEEDS_REFERENCE else None
    if part.PAIRED:
        known = {} if reference is None else {"reference_chosen": reference[:, 0], "reference_rejected": reference[:, 1]}
        found: Tensor = part.losses(Scored(first, second, one, two, **known), chosen)
        return found
    assert reference is not None
    good = targets["signs"] > 0
    scored = Scored(
        first[good],
        first[~good],
        one[good],
        one[~good],
        reference[good, 0],
        reference[~good, 0],
        kto.divergence(second.detach(), reference[:, 1]),
    )
    each = torch.empty_like(first)
    each[torch.cat([good.nonzero(), (~good).nonzero()]).squeeze(1)] = part.losses(scored, chosen)
    return each


def _summed(output: Vocabulary, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability and length of each text's answer, both (texts,)."""
    return -output.losses(labels).sum(1), (labels[:, 1:] != IGNORED).sum(1)


def counts(targets: dict[str, Tensor], weights: Tensor | None) -> Tensor:
    """One for each example, (batch,)."""
    return torch.ones(len(targets["signs"]), device=targets["signs"].device)


def keep(output: Vocabulary, encoded: preference.Encoded, rows: np.ndarray) -> np.ndarray:
    """By how much the better answer is rewarded more; of a judged answer its reward, negated where it is unwanted, (batch,)."""
    part, settings = encoded.measure
    made = preference.Targets(encoded).batch(rows)
    device = output.hidden.device
    labels, known = torch.from_numpy(made["labels"]).to(device), torch.from_numpy(made["reference"]).to(device)
    with torch.no_grad():
        sums, lengths = _summed(output, labels)
        rewards = part.rewards(sums, known.T.reshape(-1) if part.NEEDS_REFERENCE else None, lengths, settings)
        first, second = rewards.cpu().double().numpy().reshape(2, -1)
    margins: np.ndarray = first - second if encoded.paired else first * made["signs"]
    return margins


def decode(kept: np.ndarray, labels: Labels, encoded: preference.Encoded) -> Predictions:
    """The margin of each row, (n,)."""
    return Predictions(np.bincount(encoded.rows, weights=kept.reshape(-1), minlength=int(encoded.rows.max(initial=-1)) + 1), None)


def shown(value: Any, labels: Labels) -> str:
    """The margin; there is no target."""
    return "" if value is None else f"{float(value):+.3f}"


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The margin of a row."""
    return {"predicted": float(predictions.values[index]), "probability": None}


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """By how much the worse answer is rewarded more, (n,)."""
    wrong: np.ndarray = np.maximum(0.0, -predictions.values)
    return wrong
