"""Readers that take a stranger's bytes: each ends with a result or with a UserError, whatever it is given."""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tunewright.artifacts.model_folder import METADATA, form_of, read_labels, read_metadata
from tunewright.artifacts.run_folder import is_unfinished
from tunewright.config.reader import read_recipe
from tunewright.core.damaged_files import unusable
from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors
from tunewright.datasets.formats.archives import Member, members
from tunewright.datasets.prepare import prepare
from tunewright.datasets.read import read_splits
from tunewright.datasets.schema import Schema
from tunewright.models.config import read_config
from tunewright.models.folder_checks import check_folder
from tunewright.models.peft_format import method_of, read_adapter
from tunewright.models.pooling import declared_pooling
from tunewright.models.processors import load_processor
from tunewright.runs.run import load
from tunewright.runs.store import list_runs
from tunewright.training.checkpoint_folder import Unusable, read_manifest

SECONDS, MEGABYTES = 5.0, 512  # of the processor's time, and of memory that one input may add
EXPECTED = (UserError, Unusable)

Reader = Callable[[Path, bytes], object]


def _rows(name: str) -> Reader:
    def read(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return prepare(train=folder / name)

    return read


def _boxes(folder: Path, content: bytes) -> object:
    (folder / "Annotations").mkdir()
    (folder / "JPEGImages").mkdir()
    (folder / "Annotations" / "a.xml").write_bytes(content)
    (folder / "JPEGImages" / "a.jpg").touch()
    return read_splits(folder)


def _coco(folder: Path, content: bytes) -> object:
    (folder / "boxes.json").write_bytes(content)
    return read_splits(folder / "boxes.json")


def _archive(folder: Path, content: bytes) -> object:
    (folder / "a.zip").write_bytes(content)
    return [Member(folder / "a.zip", name).read() for name in members(folder / "a.zip")[:3]]


def _recipe(folder: Path, content: bytes) -> object:
    (folder / "recipe.yaml").write_bytes(content)
    return read_recipe(folder / "recipe.yaml")


def _run(folder: Path, content: bytes) -> object:
    place = folder / "run"
    place.mkdir()
    (place / "manifest.json").write_bytes(content)
    (place / "recipe.yaml").write_text("seed: 0\n")
    run = load(place)
    return is_unfinished(place), list_runs(folder), run.finished


def _scores(folder: Path, content: bytes) -> object:
    (folder / "manifest.json").write_text('{"status": "done"}')
    (folder / "scores.json").write_bytes(content)
    run = load(folder)
    return run.scores, run.reports


def _metadata(folder: Path, content: bytes) -> object:
    (folder / METADATA).write_bytes(content)
    metadata = read_metadata(folder)
    with unusable(folder / METADATA, "a model saved by tunewright"):
        schema = Schema.from_dict(metadata.rows)
    return read_labels(metadata), form_of(metadata), declared_pooling(folder), schema


def _checkpoint(folder: Path, content: bytes) -> object:
    place = folder / "step-3"
    place.mkdir()
    (place / "manifest.json").write_bytes(content)
    return read_manifest(place)


def _tensors(folder: Path, content: bytes) -> object:
    (folder / "a.safetensors").write_bytes(content)
    return read_tensors(folder / "a.safetensors")


def _adapter(folder: Path, content: bytes) -> object:
    shutil.copy(_sound_tensors(), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_bytes(content)
    config, _ = read_adapter(folder)
    return method_of(config)


def _config(folder: Path, content: bytes) -> object:
    (folder / "config.json").write_bytes(content)
    return read_config(folder)


def _index(folder: Path, content: bytes) -> object:
    (folder / "config.json").write_text("{}")
    shutil.copy(_sound_tensors(), folder / "a.safetensors")
    (folder / "model.safetensors.index.json").write_bytes(content)
    return check_folder(folder, "model")


def _preparation(folder: Path, content: bytes) -> object:
    (folder / "preprocessor_config.json").write_bytes(content)
    made: list[Any] = []
    for kind in ("image", "audio", "video", "table", "interactions"):
        try:
            made.append(load_processor(folder, kind, None))
        except UserError:
            continue
    if not made:
        raise UserError("no kind of row is prepared")
    return made


def _sound_tensors() -> Path:
    from torch import ones

    from tunewright.core.files import write_tensors

    path = Path(tempfile.gettempdir()) / "tunewright-fuzz-sound.safetensors"
    if not path.is_file():
        write_tensors(path, {"a": ones(2)})
    return path


TARGETS: dict[str, Reader] = {
    "csv": _rows("rows.csv"),
    "tsv": _rows("rows.tsv"),
    "jsonl": _rows("rows.jsonl"),
    "json": _rows("rows.json"),
    "conll": _rows("rows.conll"),
    "npz": _rows("rows.npz"),
    "parquet": _rows("rows.parquet"),
    "archive": _archive,
    "coco": _coco,
    "voc": _boxes,
    "recipe": _recipe,
    "run_manifest": _run,
    "scores": _scores,
    "metadata": _metadata,
    "checkpoint_manifest": _checkpoint,
    "tensors": _tensors,
    "adapter": _adapter,
    "config": _config,
    "index": _index,
    "preparation": _preparation,
}


def try_on(target: str, content: bytes) -> str:
    """Give bytes to a reader: 'read' or 'refused'; any other end is an error, as is one that takes long or much memory."""
    folder = Path(tempfile.mkdtemp(prefix="tunewright-fuzz-"))
    begun, taken = time.process_time(), _most()
    try:
        TARGETS[target](folder, content)
        end = "read"
    except EXPECTED as error:
        assert str(error).strip()
        end = "refused"
    finally:
        shutil.rmtree(folder)
    seconds, megabytes = time.process_time() - begun, _most() - taken
    assert seconds < SECONDS, f"{seconds:.1f} seconds"
    assert megabytes < MEGABYTES, f"{megabytes} MB"
    return end


def _most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
