"""Speech to text by a model that listens and writes: trained and watched by likelihood, judged by what a search writes.

Source: Radford et al. 2023, Whisper, section 2.2; Wang et al. 2020, fairseq S2T, section 2.
When: a model with a decoder for speech (Whisper, Speech2Text). When not: an encoder alone (transcription, by CTC), which is
faster and needs fewer examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Predictions
from tunewright.datasets.batching import for_evaluation
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.media import numbered
from tunewright.datasets.ragged import ragged
from tunewright.modalities.audio import modality as audio
from tunewright.modalities.text import sequences
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.quiet import quiet_transformers
from tunewright.tasks.seq2seq.task import decode as decode
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.tokens import counts as counts
from tunewright.tasks.shared.tokens import keep as keep
from tunewright.tasks.shared.tokens import losses as losses
from tunewright.tasks.shared.weights import class_weights as class_weights
from tunewright.tasks.speech_recognition.task import answer as answer
from tunewright.tasks.speech_recognition.task import majority as majority
from tunewright.tasks.speech_recognition.task import shown as shown

TARGETS = None
UNTARGETED = False
PIPELINE_TAGS = {"audio": "automatic-speech-recognition"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.next_words)
READS = {"audio": "AutoModelForSpeechSeq2Seq"}
OUTPUT = "vocabulary"
BASELINES = ("majority", "before")
METRICS = ("word_error_rate", "character_error_rate")
PRIMARY = "word_error_rate"
WATCHED = ("perplexity",)

_FRAMES = 12_000  # frames times beams that are listened to at once: four clips of Whisper (a guess)


class Settings(BaseModel):
    """How texts are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str | None = Field(None, description="Spoken language, for a Whisper of several: 'de', 'german'.")
    longest: int = Field(128, ge=1, le=4096, description="Tokens that are learned and written of a text at most (a guess).")
    beams: int = Field(1, ge=1, le=64, description="Beams of the search; 1 is greedy, as Radford et al. start with.")


def encode(
    network: Network,
    inputs: list[tuple[Any, ...]],
    targets: np.ndarray | None,
    settings: Settings,
    max_length: int,
    where: Callable[[Sequence[int]], str] = numbered,
) -> EncodedDataset:
    """One example for each clip; the decoder reads the first right text, begun with the model's own token."""
    config, tokenizer = network.inner.config, network.processor.tokenizer
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        raise UserError("the model's config names no decoder_start_token_id", expected="a model that was trained to write texts")
    read = audio.encode(inputs, network.processor.sounds, where=where)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
    if targets is None:
        begun = ragged([np.array([start])] * len(inputs), np.int32)
        return EncodedDataset(sequences.Encoded(read, begun, np.zeros(len(inputs), dtype=np.int64), 0, pad), None)
    if settings.language is not None and hasattr(tokenizer, "set_prefix_tokens"):
        tokenizer.set_prefix_tokens(language=settings.language, task="transcribe")
    longest = min(settings.longest, _places(network) - 1)
    rows, cut = [], 0
    for texts in targets:
        ids = tokenizer(text_target=texts[0])["input_ids"]
        ids = ids[1:] if ids[:1] == [start] else ids  # Whisper's tokenizer writes it, too
        cut += len(ids) > longest
        rows.append(np.array([start, *ids[:longest]]))
    sizes = np.array([len(texts[0].encode()) for texts in targets], dtype=np.int64)
    encoded = sequences.Encoded(read, ragged(rows, np.int32), sizes, cut, pad)
    return EncodedDataset(encoded, encoded.targets)


def generate(network: Network, examples: EncodedDataset, settings: Settings) -> Predictions:
    """The text that the search writes for each clip, (n,) objects; in float32."""
    encoded: Any = examples.encoded
    written: list[str] = [""] * len(encoded)
    config = deepcopy(network.inner.generation_config)
    config.update(
        num_beams=settings.beams, do_sample=False, max_length=None, max_new_tokens=min(settings.longest, _places(network) - 8)
    )
    spoken = {} if settings.language is None else {"language": settings.language, "task": "transcribe"}
    with evaluation_mode(network), quiet_transformers():
        for rows in for_evaluation(encoded.read.lengths, max(1, _FRAMES // settings.beams)):
            heard = {
                name: value.to(network.device) for name, value in encoded.read.collate(rows).items() if name in network.reads
            }
            made = network.inner.generate(**heard, generation_config=config, **spoken)
            for row, line in zip(rows, network.processor.tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
                written[row] = line.strip()
    return Predictions(object_array(written), None)


def _places(network: Network) -> int:
    """Tokens that the decoder has places for."""
    return int(getattr(network.inner.config, "max_target_positions", None) or 2**20)
