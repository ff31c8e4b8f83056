"""Texts written from texts: summaries, translations, any rewriting, by a model with an encoder and a decoder.

TrainingResult and watched by likelihood, which is cheap; the test rows are written out by beam search and judged as texts.
Source: Sutskever et al. 2014; beam search as in Vaswani et al. 2017, section 6.1. When: every row has a text to write.
When not: the answer stands in the text (question_answering); a decoder alone that goes on from a prompt (language).
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.arrays import object_array
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.batching import for_evaluation
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.rows import Rows
from tunewright.metrics import rouge_l
from tunewright.modalities.text import sequences
from tunewright.modalities.translation import modality as translation
from tunewright.models.network import Network, evaluation_mode
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.tokens import counts as counts
from tunewright.tasks.shared.tokens import keep as keep
from tunewright.tasks.shared.tokens import losses as losses
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "texts"
UNTARGETED = False
PIPELINE_TAGS = {"text": "text-generation", "translation": "translation"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.next_words)
READS = {"text": "AutoModelForSeq2SeqLM", "translation": "AutoModelForSeq2SeqLM"}
OUTPUT = "vocabulary"
BASELINES = ("copy", "lead", "before")
METRICS = ("chrf", "rouge_l", "exact_match", *(("bleu",) if find_spec("sacrebleu") else ()))
PRIMARY = "chrf"
WATCHED = ("perplexity",)

_SENTENCE = re.compile(r".+?(?:[.!?。！？]+(?=\s|$)|$)\s*", re.DOTALL)
_TOKENS = 2048  # read tokens times beams that are written from at once (a guess)


class Settings(BaseModel):
    """What is read before each text, and how texts are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str = Field("", description="Read before each text, as T5 was trained with: 'summarize: ' (Raffel et al. 2020).")
    tag: str = Field(
        "<2{language}> ",
        description="Read before a text that has a target language (Johnson et al. 2017), where the model has no codes for it.",
        pattern=r"\{language\}",
    )
    languages: tuple[str, ...] = Field((), description="That may be written in; empty: those of the training rows.")
    longest: int = Field(128, ge=1, le=4096, description="Tokens that are learned and written of a text at most (a guess).")
    beams: int = Field(4, ge=1, le=64, description="Beams of the search; 1 is greedy (Vaswani et al. 2017: 4).")
    length_penalty: float = Field(1.0, description="Above 0 favours longer texts among beams (Wu et al. 2016; 1 is the mean).")
    no_repeat: int = Field(0, ge=0, description="No run of so many tokens is written twice; 0 is off (Paulus et al. 2018: 3).")


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Each row's text to read, and the first right one to write."""
    wanted = None if targets is None else [texts[0] for texts in targets]
    how = (wanted, network.tokenizer, network.inner, network.longest(max_length), _most(network, settings))
    if network.form.kind == "translation":
        encoded = translation.encode(inputs, *how, tag=settings.tag, prefix=settings.prefix, known=settings.languages)
    else:
        encoded = sequences.encode([(settings.prefix + str(row[0]), *row[1:]) for row in inputs], *how)
    return EncodedDataset(encoded, None if wanted is None else encoded.targets)


def settled(settings: Settings, network: Network, train: Rows) -> tuple[Settings, tuple[str, ...]]:
    """The settings with the languages that the training rows are written in, where none were named; and how they are told."""
    if network.form.kind != "translation":
        return settings, ()
    found = settings.languages or translation.languages(train.inputs)
    told = translation.said(train.inputs, settings.tag, network.tokenizer)
    return settings.model_copy(update={"languages": found}), (told,)


def decode(kept: np.ndarray, labels: Labels, encoded: sequences.Encoded) -> Predictions:
    """The same sums, (n, 3): how likely the right texts are."""
    return Predictions(kept, None)


def generate(network: Network, examples: EncodedDataset, settings: Settings) -> Predictions:
    """The text that beam search writes for each row, (n,) objects; in float32."""
    encoded: Any = examples.encoded
    written: list[str] = [""] * len(encoded)
    config = _search(network, settings)
    with evaluation_mode(network):
        for rows in for_evaluation(encoded.read.lengths, max(1, _TOKENS // settings.beams)):
            read = {name: value.to(network.device) for name, value in encoded.read.collate(rows).items()}
            if encoded.given is not None:
                read["decoder_input_ids"] = torch.from_numpy(encoded.given[rows]).to(network.device)
                config.decoder_start_token_id = encoded.given[rows, 0].tolist()
            made = network.inner.generate(**read, generation_config=config)
            for row, line in zip(rows, network.tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
                written[row] = line.strip()
    return Predictions(object_array(written), None)


def _most(network: Network, settings: Settings) -> int:
    """Tokens that are written at most; the one that begins has a position, too."""
    return network.longest(settings.longest + 1, written=True) - 1


def _search(network: Network, settings: Settings) -> Any:
    """The model's own settings for writing (which tokens begin, end, or are forced), with ours for the search."""
    from transformers import GenerationConfig

    own = network.inner.generation_config
    kept = {name: value for name, value in own.to_dict().items() if name.endswith(("_token_id", "_token_ids", "bad_words_ids"))}
    return GenerationConfig(
        **kept,
        num_beams=settings.beams,
        max_new_tokens=_most(network, settings),
        do_sample=False,
        no_repeat_ngram_size=settings.no_repeat,
        **({"length_penalty": settings.length_penalty, "early_stopping": True} if settings.beams > 1 else {}),
    )


def from_inputs(name: str, inputs: list[tuple[Any, ...]], train: Rows) -> Predictions:
    """What costs nothing: ``copy``, the text that is read; ``lead``, as many of its first sentences as train's texts have."""
    if name == "copy":
        return Predictions(object_array(str(row[0]) for row in inputs), None)
    many = max(1, round(float(np.mean([len(_SENTENCE.findall(texts[0])) for texts in train.targets]))))
    return Predictions(object_array("".join(_SENTENCE.findall(str(row[0]))[:many]).strip() for row in inputs), None)


def shown(value: Any, labels: Labels) -> str:
    """A text, or all right ones."""
    return str(value if isinstance(value, str) else " | ".join(value))


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The text."""
    return {"predicted": str(predictions.values[index]), "probability": None}


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """1 less the overlap of each text with the right one that it is most like, (n,)."""
    found: np.ndarray = 1 - rouge_l.sums(targets, predictions.values, Labels("seq2seq"))[:, 0]
    return found
