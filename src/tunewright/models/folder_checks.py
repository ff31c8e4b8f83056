"""A stranger's model folder, looked through before anything of it is opened: what would run code, lead out, or not fit.

Names and headers are read, tensors are not. A file that can run code when opened is never opened, so one that lies beside the
weights does no harm and is left alone; where it is all there is, the folder is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.core.files import read_object
from tunewright.core.paths import leads_out
from tunewright.core.tensor_header import Declared, read_header

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"

# Formats that hold programs, or are opened by ones that do: pickles, Keras' and NeMo's archives, PyTorch's distributed folders.
_CAN_RUN_CODE = {
    *(".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".msgpack", ".mar", ".model_archive"),
    *(".keras", ".h5", ".hdf5", ".nemo", ".pb", ".onnx", ".distcp", ".metadata", ".engine", ".torchscript", ".ptl"),
}
# What is read of a folder; links among other files lead nobody anywhere.
_READ = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "1_Pooling/*")


def can_run_code(path: Path) -> bool:
    """Whether a file is of a kind that is never opened here."""
    return path.suffix.lower() in _CAN_RUN_CODE or path.name.lower() in _CAN_RUN_CODE


def refuse_file(path: Path) -> UserError:
    """The error where a model is given as one file."""
    what = "a file of a kind that can run code when opened" if can_run_code(path) else "a file"
    return UserError(
        f"the model '{path}' is {what}",
        expected=f"a folder with config.json and {WEIGHTS}",
        try_="save the model with save_pretrained(folder, safe_serialization=True) in a place where you trust the file",
    )


def check_folder(folder: Path, source: str) -> Path:
    """``folder``, when it is a model's that can be opened; else UserError."""
    if not (folder / "config.json").is_file():
        raise UserError(
            f"the model folder '{source}' has no config.json{_only_code(folder)}", expected="a folder written by save_pretrained"
        )
    if (folder / "adapter_config.json").is_file():  # transformers would load the adapter's base model instead
        raise UserError(f"the model folder '{source}' also holds an adapter", expected="a whole model alone in its folder")
    refuse_links_out(folder)
    if (folder / WEIGHTS).is_file() or (folder / INDEX).is_file():
        _check_index(folder)
        return folder
    raise UserError(
        f"the model folder '{source}' holds no weights{_only_code(folder)}",
        expected=f"{WEIGHTS} (or its index)",
        try_="save the model again with save_pretrained(folder) in a place where you trust the file",
    )


def refuse_links_out(folder: Path) -> None:
    """Raise UserError for a link to a file elsewhere; what the hub's own cache links to is its own."""
    inside = folder.resolve()
    cache = inside.parent.parent / "blobs" if inside.parent.name == "snapshots" else inside
    for path in (found for pattern in _READ for found in folder.glob(pattern)):
        if path.is_symlink() and not any(path.resolve().is_relative_to(place) for place in (inside, cache)):
            raise UserError(
                f"'{path}' is a link that leads out of its folder",
                expected="files of the model itself",
                try_="copy the file here",
            )


def declared_tensors(folder: Path) -> dict[str, Declared]:
    """Every tensor that the weights of a folder declare; a file that cannot be what it says is a UserError."""
    files = [folder / WEIGHTS] if (folder / WEIGHTS).is_file() else [folder / name for name in _check_index(folder)]
    found: dict[str, Declared] = {}
    for file in files:
        found |= read_header(file)
    return found


def _check_index(folder: Path) -> list[str]:
    """The files that a folder's index names, each a plain name of a file that is there."""
    path = folder / INDEX
    if not path.is_file():
        return []
    listed = read_object(path).get("weight_map")
    if not isinstance(listed, dict) or not listed or not all(isinstance(name, str) for name in listed.values()):
        raise UserError(f"{path} lists no weights", expected="a weight_map from tensors to files")
    names = sorted(set(listed.values()))
    for name in names:
        if leads_out(name) or "/" in name or not name.endswith(".safetensors"):
            raise UserError(
                f"{path} names the file '{name[:200]}'", expected="names of safetensors files in the same folder", try_="mend it"
            )
        if not (folder / name).is_file():
            raise UserError(f"the file '{name}' that {path} names is missing", expected="all files of the model")
    return names


def _only_code(folder: Path) -> str:
    found = ", ".join(sorted(_named(folder))[:5])
    return f", only {found}, which can run code when opened" if found else ""


def _named(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir() if path.is_file() and can_run_code(path))
