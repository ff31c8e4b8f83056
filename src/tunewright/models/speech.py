"""Speech: what makes a speech recognizer's input and spells its output, loaded from its folder and saved beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.files import write_json
from tunewright.core.types import Labels
from tunewright.datasets.transcripts import Characters, from_folder, made_of
from tunewright.modalities.audio.modality import AudioPreprocessing
from tunewright.modalities.processor_files import PREPROCESSOR, load_tokenizer
from tunewright.models.form import Form

_ENOUGH = 0.9  # share of the training texts' characters that a model's own alphabet must know (a guess)


@dataclass(frozen=True)
class Speech:
    """The preparation of sounds beside the alphabet; ``said`` tells where the latter comes from."""

    sounds: AudioPreprocessing
    characters: Characters
    said: tuple[str, ...] = ()

    def save_pretrained(self, folder: str) -> None:
        """Write both as transformers' feature extractor and tokenizer read them."""
        write_json(Path(folder) / PREPROCESSOR, self.sounds.to_dict())
        self.characters.save(Path(folder))


def alphabet_of(folder: Path, labels: Labels) -> tuple[Characters, str]:
    """The model's own alphabet where it can spell the training texts, else a new one of their characters; and which it is."""
    own = from_folder(folder, labels.names)
    if own is not None:
        strange = [name for name in labels.names if not own.known(name)]
        if len(strange) <= (1 - _ENOUGH) * len(labels.names):
            left_out = f"; left out, because it lacks them: {' '.join(strange)}" if strange else ""
            return own, f"words are spelt in the model's own alphabet of {len(own)} tokens{left_out}"
    made = made_of(labels.names)
    if len(made) <= len(made_of(())):
        raise UserError("the training texts hold no character to spell", expected="texts of what is said")
    why = "the model has none" if own is None else f"the model's own lacks {len(strange)} of {len(labels.names)} characters"
    return made, f"words are spelt in a new alphabet of {len(made)} tokens, because {why}"


@dataclass(frozen=True)
class Dictation:
    """The preparation of sounds beside the tokenizer of the decoder that writes what is said."""

    sounds: AudioPreprocessing
    tokenizer: Any

    def save_pretrained(self, folder: str) -> None:
        """Write both as transformers reads them."""
        write_json(Path(folder) / PREPROCESSOR, self.sounds.to_dict())
        self.tokenizer.save_pretrained(folder)


def with_words(folder: Path, processor: Any, form: Form, config: Any, labels: Labels) -> Any:
    """The processor, beside the alphabet or the tokenizer where sounds become words."""
    if form.kind != "audio" or form.output not in ("frames", "vocabulary"):
        return processor
    return (
        speech_of(folder, processor, labels) if form.output == "frames" else Dictation(processor, load_tokenizer(folder, config))
    )


def speech_of(folder: Path, sounds: AudioPreprocessing, labels: Labels) -> Speech:
    """The processor of a network that spells what it hears."""
    if sounds.kind != "raw":
        raise UserError(
            f"the model in '{folder}' reads {sounds.kind} features, which are not transcribed frame by frame here",
            expected="a model of the wav2vec 2.0 kind",
        )
    characters, said = alphabet_of(folder, labels)
    return Speech(sounds, characters, (said,))
