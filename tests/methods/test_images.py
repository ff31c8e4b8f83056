"""Every method on every family that reads images: it works and only what it names moves, or it says why it cannot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.tiny import folders
from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny_images import IMAGE_FAMILIES, tiny_image_model

METHODS = [part.name for part in list_parts("methods")]
LABELS = Labels("classification", ("ant", "bee", "cat"))
FORM = Form("image", "AutoModelForImageClassification", "logits")
TRANSFORMERS = ("vit", "deit", "beit")
CONVOLUTIONS = ("resnet", "regnet", "mobilenet_v2")

# Why a method cannot be: by method, then by family; all others must work.
REFUSED: dict[str, dict[str, str]] = {
    "prompt": dict.fromkeys(IMAGE_FAMILIES, "virtual words"),
    "prefix": dict.fromkeys(IMAGE_FAMILIES, "virtual words"),
    "bottleneck": dict.fromkeys((*CONVOLUTIONS, "convnext", "swin"), "no transformer block"),
    "ia3": dict.fromkeys((*CONVOLUTIONS, "convnext", "swin"), "no transformer block"),
    "dora": dict.fromkeys(CONVOLUTIONS, "no linear layer"),
    "lora": {"mobilenet_v2": "looks into its convolutions"},
    "peft": dict.fromkeys(CONVOLUTIONS, "PEFT cannot apply"),
}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    folder_of = folders(tmp_path_factory, tiny_image_model)

    def build(family: str) -> Network:
        torch.manual_seed(0)
        return load_network(str(folder_of(family)), LABELS, form=FORM)

    return build


def images() -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))}


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_works_or_says_why_not(make: Callable[[str], Network], method: str, family: str) -> None:
    network, part = make(family), load_part("methods", method)
    settings = part.Settings(**({"k": 1} if method == "last_layers" else {}))
    if family in REFUSED.get(method, {}):
        with pytest.raises(UserError, match=REFUSED[method][family]):
            part.apply(network, settings)
        return
    plain = network(images()).detach()
    applied = part.apply(network, settings)
    torch.testing.assert_close(network(images()), plain, rtol=1e-4, atol=1e-6)
    moving = {*applied.trainable, *network.head_names}
    assert {name for name, parameter in network.named_parameters() if parameter.requires_grad} == moving
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.Adam([network.get_parameter(name) for name in moving], lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images()) * 1e3, torch.arange(4) % 3).backward()
        optimizer.step()
    moved = {name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved <= moving
    assert moved


@pytest.mark.parametrize("placement", ["houlsby", "parallel"])
@pytest.mark.parametrize("family", TRANSFORMERS)
def test_bottlenecks_have_every_place_in_vision_transformers(make: Callable[[str], Network], family: str, placement: str) -> None:
    network, part = make(family), load_part("methods", "bottleneck")
    plain = network(images()).detach()
    applied = part.apply(network, part.Settings(placement=placement, size=4))
    torch.testing.assert_close(network(images()), plain)
    with torch.no_grad():
        for name in applied.trainable:
            network.get_parameter(name).add_(torch.randn(network.get_parameter(name).shape))
    assert not torch.allclose(network(images()), plain, atol=1e-4)


@pytest.mark.parametrize("family", ["resnet", "regnet"])
def test_lora_beside_convolutions_is_its_formula_and_merges_away(make: Callable[[str], Network], family: str) -> None:
    network, part = make(family).eval(), load_part("methods", "lora")
    plain_names = list(network.state_dict())
    applied = part.apply(network, part.Settings(rank=3))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name in applied.trainable:
            network.get_parameter(name).add_(torch.randn(network.get_parameter(name).shape, generator=generator) * 0.2)
    name = next(name.removesuffix(".lora_A") for name in applied.trainable if name.endswith(".lora_A"))
    wrapper = network.get_submodule(name)
    base = wrapper.base_layer
    change = (wrapper.lora_B.flatten(1) @ wrapper.lora_A.flatten(1)).view_as(base.weight) * 16 / 3
    x = torch.randn(2, base.in_channels, 9, 9, generator=generator)
    with torch.no_grad():
        wanted = nn.functional.conv2d(x, base.weight + change, base.bias, base.stride, base.padding, base.dilation)
        torch.testing.assert_close(wrapper(x), wanted, rtol=1e-4, atol=1e-5)
        adapted = network(images())
        assert applied.merge is not None
        applied.merge()
        torch.testing.assert_close(network(images()), adapted, rtol=1e-4, atol=1e-5)
    assert list(network.state_dict()) == plain_names
