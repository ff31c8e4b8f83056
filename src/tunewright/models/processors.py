"""Processors: what makes a network's inputs, loaded from its folder and saved beside it; data, never code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.core.damaged_files import unusable
from tunewright.core.errors import UserError
from tunewright.core.files import read_object, write_json
from tunewright.core.types import Kind
from tunewright.modalities.language.tokenizer_trial import remember, try_file
from tunewright.models.config import read_config

# Kinds of rows that become token ids.
TOKENISED: tuple[Kind, ...] = ("text", "translation", "words", "question", "pairs", "conversation")

# A tokenizer without any of these would be made up with an empty vocabulary.
_VOCABULARIES = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model"),
    *("spiece.model", "spm.model", "sentencepiece.bpe.model"),
)
PREPROCESSOR = "preprocessor_config.json"  # transformers' name for an image's or sound's preparation
PROCESSOR = "processor_config.json"  # its newer name, with the preparation of each kind nested in it
# Where each kind's preparation stands in the newer file.
_NESTED: dict[Kind, tuple[str, ...]] = {
    "image": ("image_processor",),
    "video": ("video_processor", "image_processor"),
    "audio": ("feature_extractor", "audio_processor"),
}


def load_processor(folder: Path, kind: Kind, config: Any) -> Any:
    """The tokenizer, or the preparation of images or sounds, that the folder declares."""
    with unusable(folder / PREPROCESSOR, f"what prepares the inputs of a model of {kind} rows"):
        return _load_processor(folder, kind, config)


def _load_processor(folder: Path, kind: Kind, config: Any) -> Any:
    if kind in TOKENISED:
        return load_tokenizer(folder, config)
    if kind == "captioned":
        from tunewright.modalities.captioned.modality import Processor

        return Processor(load_tokenizer(folder, config), load_processor(folder, "image", config))
    if kind == "image_prompt":
        return _whole_processor(folder)
    path, settings = _declared(folder, kind)
    with unusable(path, f"what prepares the inputs of a model of {kind} rows"):
        return _preparation(folder, kind, config, settings)


def _declared(folder: Path, kind: Kind) -> tuple[Path, dict[str, Any]]:
    """The file that says how a kind is prepared, and what it says; as in transformers, the newer file comes first."""
    newer, older, keys = folder / PROCESSOR, folder / PREPROCESSOR, _NESTED.get(kind, ())
    nested = read_object(newer) if keys and newer.is_file() else {}
    for key in keys:
        if isinstance(nested.get(key), dict):
            return newer, nested[key]
    if keys and not older.is_file():
        raise UserError(
            f"the model folder '{folder}' does not say how {kind} rows are prepared",
            expected=f"its {PREPROCESSOR}, or its {PROCESSOR} with {keys[0]}",
        )
    return older, read_object(older)


def _preparation(folder: Path, kind: Kind, config: Any, settings: dict[str, Any]) -> Any:
    if kind == "table":
        from tunewright.modalities.table.columns import Columns

        return Columns.from_dict(settings)
    if kind == "mixed":
        return _of_kinds(folder, settings)
    if kind == "interactions":
        from tunewright.modalities.interactions.catalogue import Catalogue

        return Catalogue.from_dict(settings)
    if kind == "image":
        from tunewright.modalities.image.modality import ImagePreprocessing

        return ImagePreprocessing.from_processor_config(settings)
    if kind == "video":
        from tunewright.modalities.video.modality import VideoPreprocessing

        return VideoPreprocessing.from_processor_config(settings)
    from tunewright.modalities.audio.modality import AudioPreprocessing

    sounds = AudioPreprocessing.from_processor_config(settings)
    return sounds.under(config.conv_kernel, config.conv_stride) if hasattr(config, "conv_kernel") else sounds


def _whole_processor(folder: Path) -> Any:
    """The processor of transformers for images and texts; one that is a program of its own is a UserError."""
    from transformers import AutoProcessor

    from tunewright.modalities.image_prompt.modality import Processor

    settings = [folder / name for name in (PROCESSOR, PREPROCESSOR, "tokenizer_config.json")]
    if any(_names_code(read_object(path)) for path in settings if path.is_file()):
        raise UserError(f"the processor of '{folder}' is a program of its own (auto_map)", expected="a processor that is data")
    try:
        found = AutoProcessor.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises Exception itself
        raise UserError(f"the processor of '{folder}' cannot be loaded: {first_line(error)}") from error
    if not all(hasattr(found, part) for part in ("tokenizer", "image_processor")):
        raise UserError(f"the processor of '{folder}' does not read images and texts", expected="one with both")
    return Processor(found)


def _of_kinds(folder: Path, saved: dict[str, Any]) -> Any:
    """What each column is, with the preparation that lies beside each kind's model."""
    from tunewright.modalities.mixed.modality import Processor

    used = Processor.from_dict(saved, {}).used
    configs = {kind: None if kind == "table" else read_config(folder / kind) for kind in used}
    return Processor.from_dict(saved, {kind: load_processor(folder / kind, kind, config) for kind, config in configs.items()})


def save_processor(processor: Any, folder: Path) -> None:
    """Write it where ``load_processor`` and transformers find it."""
    for part in getattr(processor, "parts", (processor,)):
        if hasattr(part, "save_pretrained"):
            part.save_pretrained(str(folder))
        else:
            write_json(folder / PREPROCESSOR, part.to_dict())


def load_tokenizer(folder: Path, config: Any | None = None) -> Any:
    """The tokenizer saved in a folder; one without its own files, or that needs code, is a UserError."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise UserError(f"the model folder '{folder}' has no tokenizer", expected=f"one of {', '.join(_VOCABULARIES)}")
    settings, file = folder / "tokenizer_config.json", folder / "tokenizer.json"
    if settings.is_file() and _names_code(read_object(settings)):
        raise UserError(f"the tokenizer of '{folder}' is a program of its own (auto_map)", expected="a tokenizer that is data")
    expressive = file.is_file() and try_file(file)
    try:
        found = AutoTokenizer.from_pretrained(str(folder), config=config, local_files_only=True)
    except BaseException as error:  # the tokenizers library raises Exception itself, and panics with what is none
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UserError(f"the tokenizer of '{folder}' cannot be loaded: {first_line(error)}") from error
    if expressive:
        remember(found, file)
    return found


def _names_code(settings: Any) -> bool:
    """Whether auto_map stands anywhere in a file of settings."""
    if isinstance(settings, dict):
        return "auto_map" in settings or any(_names_code(value) for value in settings.values())
    return isinstance(settings, list) and any(_names_code(value) for value in settings)


def ensure_padding(tokenizer: Any, config: Any) -> None:
    """Decoders come without a padding token; the end token serves, because attention never looks at padding."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        raise UserError("the tokenizer has no padding, end or unknown token", expected="one that can pad a batch")
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer.pad_token_id
    if not getattr(config, "is_encoder_decoder", False):
        tokenizer.padding_side = "right"


def first_line(error: BaseException) -> str:
    """An error of another library in one line."""
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0]
