"""The files beside a model that say how its inputs are prepared, as transformers writes them; data, never code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunewright.core.damaged_files import unusable
from tunewright.core.errors import UserError
from tunewright.core.files import read_object
from tunewright.modalities.language.tokenizer_trial import remember, try_file

# A tokenizer without any of these would be made up with an empty vocabulary.
_VOCABULARIES = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model"),
    *("spiece.model", "spm.model", "sentencepiece.bpe.model"),
)
PREPROCESSOR = "preprocessor_config.json"  # transformers' name for an image's or sound's preparation
PROCESSOR = "processor_config.json"  # its newer name, with the preparation of each kind nested in it


def read_preparation(folder: Path, kind: str, make: Callable[[dict[str, Any]], Any], keys: tuple[str, ...] = ()) -> Any:
    """What ``make`` makes of the file that says how a kind is prepared; ``keys``, where it stands in the newer file."""
    path, settings = _declared(folder, kind, keys)
    with unusable(path, f"what prepares the inputs of a model of {kind} rows"):
        return make(settings)


def _declared(folder: Path, kind: str, keys: tuple[str, ...]) -> tuple[Path, dict[str, Any]]:
    """The file that says how a kind is prepared, and what it says; as in transformers, the newer file comes first."""
    newer, older = folder / PROCESSOR, folder / PREPROCESSOR
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


def load_tokenizer(folder: Path, config: Any | None = None) -> Any:
    """The tokenizer saved in a folder; one without its own files, or that needs code, is a UserError."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise UserError(f"the model folder '{folder}' has no tokenizer", expected=f"one of {', '.join(_VOCABULARIES)}")
    settings, file = folder / "tokenizer_config.json", folder / "tokenizer.json"
    if settings.is_file() and names_code(read_object(settings)):
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


def names_code(settings: Any) -> bool:
    """Whether auto_map stands anywhere in a file of settings."""
    if isinstance(settings, dict):
        return "auto_map" in settings or any(names_code(value) for value in settings.values())
    return isinstance(settings, list) and any(names_code(value) for value in settings)


def first_line(error: BaseException) -> str:
    """An error of another library in one line."""
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0]
