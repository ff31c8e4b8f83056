"""The methods that every architecture must take, on each of them."""

from __future__ import annotations

import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.models.tiny import FAMILIES

EVERYWHERE = ["lora", "bottleneck", "bias_only", "norm_only"]
WITHOUT_BIAS = {"modernbert", "llama", "qwen3", "gemma", "gemma2", "t5"}


def apply_part(network, method, **settings):
    part = load_part("methods", method)
    return part.apply(network, part.Settings(**settings))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", EVERYWHERE)
def test_every_family_takes_the_method(make, logits, what_moves, method, family):
    network = make(family)
    if method == "bias_only" and family in WITHOUT_BIAS:
        with pytest.raises(UserError, match="no bias"):
            apply_part(network, method)
        return
    plain = logits(network)
    applied = apply_part(network, method)
    assert torch.allclose(logits(network), plain, atol=1e-6)
    assert applied.trainable
    what_moves(network, applied)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("placement", ["houlsby", "parallel"])
def test_every_family_takes_every_placement(make, logits, shake, placement, family):
    network = make(family)
    plain = logits(network)
    applied = apply_part(network, "bottleneck", placement=placement, size=4)
    assert torch.allclose(logits(network), plain, atol=1e-6)
    shake(network, applied.trainable)
    assert (logits(network) - plain).abs().max() > 1e-4
