"""The contract of a stack and of the frozen prefix, for every family that reads images; batch norms stay below the cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.tiny import folders, larger
from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors, write_tensors
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.prefix import capture, find_prefix, replayed
from tunewright.models.processors import save_processor
from tunewright.models.tiny_images import IMAGE_FAMILIES, tiny_image_model
from tunewright.training.stages import open_layers

LABELS = Labels("classification", ("ant", "bee", "cat"))
FORM = Form("image", "AutoModelForImageClassification", "logits")
BLOCKS = {"mobilenet_v2": 16}
FINAL = ("vit", "deit", "beit", "swin", "convnext", "mobilenet_v2")
NORMED = ("resnet", "regnet", "mobilenet_v2")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    folder_of = folders(tmp_path_factory, tiny_image_model, larger(3))

    def build(family: str) -> Network:
        return load_network(str(folder_of(family)), LABELS, form=FORM)

    return build


def images(count: int = 4) -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))}


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_every_tensor_is_in_one_group_and_groups_are_in_order(make: Callable[[str], Network], family: str) -> None:
    network = make(family)
    groups = network.stack.groups
    for kind, held in (("parameters", network.named_parameters()), ("buffers", network.named_buffers())):
        listed = [name for group in groups for name in getattr(group, kind)]
        assert sorted(listed) == sorted(name for name, _ in held)
    blocks = [f"block {place}" for place in range(BLOCKS.get(family, 3))]
    final = ["final"] if family in FINAL else []
    assert [group.name for group in groups] == ["embeddings", *blocks, *final, "head"]
    assert network.stack.head.parameters == network.head_names
    assert groups[0].parameters
    assert network.stack.shared == 1


@pytest.mark.parametrize("family", ["resnet", "vit"])
def test_a_saved_classifier_lends_its_body_alone(make: Callable[[str], Network], family: str, tmp_path: Path) -> None:
    """A ResNet's head is called classifier.1, which is no layer that its config lacks; a block too many still is."""
    tuned = make(family)
    tuned.inner.save_pretrained(str(tmp_path))
    save_processor(tuned.processor, tmp_path)
    body = load_network(str(tmp_path), Labels("embedding"), form=Form("image", "AutoModel"))
    theirs = dict(tuned.inner.base_model.named_parameters())
    assert all(torch.equal(value, theirs[name]) for name, value in body.inner.named_parameters() if name in theirs)
    held = read_tensors(tmp_path / "model.safetensors")
    name = next(name for name in held if ".0." in name and name.startswith(family))
    write_tensors(tmp_path / "model.safetensors", held | {name.replace(".0.", ".9.", 1): held[name].clone()})
    with pytest.raises(UserError, match="layers that the config does not have"):
        load_network(str(tmp_path), Labels("embedding"), form=Form("image", "AutoModel"))


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_blocks_are_in_the_order_in_which_they_run(make: Callable[[str], Network], family: str) -> None:
    network = make(family)
    ran: list[str] = []
    for group in network.stack.blocks:
        network.get_submodule(group.modules[0]).register_forward_pre_hook(lambda *_, name=group.name: ran.append(name))
    with torch.no_grad():
        network(images())
    assert ran == [group.name for group in network.stack.blocks]


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("place", [0, 1, -1])
def test_what_lies_below_the_cut_stays_bit_for_bit(make: Callable[[str], Network], family: str, place: int) -> None:
    """Steps with layers open from a depth on: parameters and running means below it do not move, those above do."""
    network = make(family)
    cut = network.stack.blocks[place].depth
    trainable = [name for name, _ in network.named_parameters() if name not in network.head_names]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    open_layers(network, trainable, cut)
    optimizer = torch.optim.SGD([one for one in network.parameters() if one.requires_grad], lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images(8)), torch.arange(8) % 3).backward()
        optimizer.step()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(network.stack.depth_of(name) >= cut for name in moved)
    assert set(network.head_names) <= moved
    still = {name for name, _ in network.named_buffers() if name.endswith("running_mean")}
    above = {name for name in still if network.stack.depth_of(name) >= cut}
    assert above <= moved
    assert bool(above) == (family in NORMED)


def test_still_batch_norms_keep_their_means_where_they_train(make: Callable[[str], Network]) -> None:
    network = make("resnet")
    network.freeze_batch_norm = True
    open_layers(network, [name for name, _ in network.named_parameters()], 0)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(images()).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(module.weight.grad is not None for module in norms)


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_replaying_is_the_whole_pass(make: Callable[[str], Network], family: str) -> None:
    network = make(family).eval()
    inputs, used = images(), 0
    for depth in range(1, network.stack.depths):
        prefix = find_prefix(network, depth, inputs)
        if prefix is None:
            continue
        used += 1
        kept = capture(network, [prefix], inputs)
        assert prefix.values == sum(value[0].numel() for value in kept.values())
        with torch.no_grad():
            whole = network(inputs)
            with replayed(network, prefix, kept):
                again = network(inputs)
            with replayed(network, prefix, {name: value.flip(0) for name, value in kept.items()}):
                other = network(inputs)
        torch.testing.assert_close(again, whole, rtol=0, atol=0)
        assert not torch.equal(other, whole)  # what was kept is what is read
        assert prefix.saved == sum(group.depth < depth for group in network.stack.blocks)
    assert used == network.stack.depths - 2


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_features_are_what_the_head_reads(make: Callable[[str], Network], family: str) -> None:
    network = make(family).eval()
    with torch.no_grad():
        features: Any = network.features(images())
        torch.testing.assert_close(network.last_linear(features), network(images()))
    assert features.shape == (4, network.last_linear.in_features)
