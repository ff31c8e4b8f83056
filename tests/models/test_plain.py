"""A plain torch module as a backbone: a new head, the stack, whole runs, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tunewright
from tests.test_image_runs import QUICK, accuracy, pictures
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.modalities.image.modality import ImagePreprocessing
from tunewright.models.torch_module import Backbone, plain_network
from tunewright.pipeline.workflow import reproduce

LABELS = Labels("classification", ("ant", "bee", "cat"))
READS = ImagePreprocessing(16, 16, resize=(16, 16), mean=(0.5,) * 3, std=(0.5,) * 3)


class Small(nn.Module):
    """Two stages of two convolutions with batch norms, and a classifier of seven classes."""

    def __init__(self, softmax: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.first, self.second = (nn.Sequential(*(Part(8) for _ in range(2))) for _ in range(2))
            self.answer = nn.Linear(8, 7)
        self.softmax = softmax

    def forward(self, pixels: Tensor) -> Tensor:
        answer: Tensor = self.answer(self.second(self.first(self.stem(pixels))).mean((2, 3)))
        return answer.softmax(-1) if self.softmax else answer


class Part(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = torch.relu(self.norm(self.conv(x)))
        return x + added


def test_the_last_linear_layer_gives_way_to_a_new_one() -> None:
    module = Small()
    network = plain_network(Backbone(module, READS), LABELS, seed=1)
    assert [group.name for group in network.stack.groups] == ["embeddings", *(f"block {n}" for n in range(4)), "head"]
    assert network.head_names == ("inner.module.answer.weight", "inner.module.answer.bias")
    assert network.last_linear.out_features == 3
    assert module.answer.out_features == 7  # the user's own is as it was
    pixels = {"pixel_values": torch.randn(2, 3, 16, 16)}
    assert network(pixels).shape == (2, 3)
    again = plain_network(Backbone(module, READS), LABELS, seed=1)
    assert torch.equal(network(pixels), again(pixels))
    assert not torch.equal(network(pixels), plain_network(Backbone(module, READS), LABELS, seed=2)(pixels))


def test_a_module_whose_answer_is_not_linear_is_refused() -> None:
    with pytest.raises(UserError, match="straight from a linear layer"):
        plain_network(Backbone(Small(softmax=True), READS), LABELS)


def test_a_module_that_does_not_read_the_pictures_is_refused() -> None:
    grey = ImagePreprocessing(16, 16, resize=(16, 16), mean=(0.5,), std=(0.5,), channels=1)
    with pytest.raises(UserError, match=r"\(1, 1, 16, 16\)"):
        plain_network(Backbone(Small(), grey), LABELS)


def test_a_module_needs_its_preprocessing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="how it reads a picture"):
        tunewright.fit(pictures(20), model=Small(), out=tmp_path / "run")


def test_a_recipe_alone_runs_no_module(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Python module"):
        tunewright.fit(pictures(20), model="module:Small", out=tmp_path / "run")


@pytest.mark.parametrize("strategy", ["full", "lora", "gradual-unfreezing"])
def test_a_run_is_saved_opened_with_the_module_and_repeated(strategy: str, tmp_path: Path) -> None:
    module = Small()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model: dict[str, Any] = {"source": module, "freeze_batch_norm": True}
    data = pictures(40)
    settings = QUICK | {"training": {"epochs": 4, "batch_size": 8}}
    run = tunewright.fit(data, model=model, preprocessing=READS, strategy=strategy, out=tmp_path / "run", **settings)
    assert accuracy(run) > accuracy(run, "majority")
    assert run.manifest["certified"]["equal"]
    assert run.manifest["certified"]["with"] == ["tunewright, in this process"]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    said = [row["predicted"] for row in run.predict(list(data[0][:6]))]
    opened = tunewright.load(run.folder, backbone=(Small(), READS))
    assert [row["predicted"] for row in opened.predict(list(data[0][:6]))] == said
    with pytest.raises(UserError, match="the same module"):
        tunewright.load(run.folder).predict(list(data[0][:2]))
    again = reproduce(run.folder, out=tmp_path / "again", backbone=Backbone(Small(), READS))
    assert again.equal, again.differences


def test_another_module_does_not_open_a_run(tmp_path: Path) -> None:
    run = tunewright.fit(pictures(24), model=Small(), preprocessing=READS, strategy="full", out=tmp_path / "run", **QUICK)
    other = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 7))
    with pytest.raises(UserError, match="not built like"):
        tunewright.load(run.folder, backbone=(other, READS)).predict(list(pictures(2)[0]))


def test_resnet20_of_cifar10_keeps_its_features(shared_data: Path) -> None:
    """The public weights in a class of the benchmarks: layer by layer a stack, with the module's own features below the head."""
    weights = shared_data / "weights" / "resnet_cifar10" / "resnet20.safetensors"
    if not weights.is_file():
        pytest.skip("the public weights are not there")
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "resnet_cifar.py"
    spec = importlib.util.spec_from_file_location("resnet_cifar", path)
    assert spec is not None and spec.loader is not None
    resnet = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(resnet)
    module = resnet.pretrained(weights)
    network = plain_network(Backbone(module, resnet.preprocessing()), LABELS)
    assert len(network.stack.blocks) == 9
    assert sum(parameter.numel() for parameter in network.parameters()) == 269_722 - 10 * 65 + 3 * 65
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(module.linear(network.features({"pixel_values": pixels})), module(pixels))
