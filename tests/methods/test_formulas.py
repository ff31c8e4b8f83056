"""Each method's arithmetic against its paper's formula or the real library's layer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from tunewright.core.registry import load_part
from tunewright.methods.bottleneck import Settings as BottleneckSettings
from tunewright.methods.bottleneck import apply as apply_bottleneck
from tunewright.methods.dora import DoraLinear
from tunewright.methods.ia3 import Scaled
from tunewright.methods.lora import LoraLinear

KINDS = ["linear", "no_bias", "conv1d"]


def layer(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "conv1d":
        made = Conv1D(6, 10)
        nn.init.normal_(made.bias)
        return made
    return nn.Linear(10, 6, bias=kind == "linear")


def weight(base: nn.Module) -> torch.Tensor:
    return (base.weight if isinstance(base, nn.Linear) else base.weight.T).detach()


def shaken(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if not name.startswith("base_layer"):
                parameter.add_(torch.randn(parameter.shape))
    return module.eval()


X = torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", KINDS)
def test_lora_is_w_plus_scaled_b_a(kind):
    base = layer(kind)
    wrapped = shaken(LoraLinear(base, 3, 16 / 3, 0.0))
    changed = weight(base) + (16 / 3) * wrapped.lora_B @ wrapped.lora_A
    assert torch.allclose(wrapped(X), functional.linear(X, changed, base.bias), atol=1e-5)


@pytest.mark.parametrize(("stabilised", "scale"), [(False, 16 / 4), (True, 16 / math.sqrt(4))])
def test_the_scale_is_alpha_over_r_or_over_its_root(make, stabilised, scale):
    network = make()
    part = load_part("methods", "lora")
    part.apply(network, part.Settings(rank=4, alpha=16, rank_stabilised=stabilised, targets=("query",)))
    assert network.get_submodule("inner.bert.encoder.layer.0.attention.self.query").scaling == pytest.approx(scale)


@pytest.mark.parametrize("kind", KINDS)
def test_dora_is_the_papers_formula(kind):
    base = layer(kind)
    wrapped = DoraLinear(base, 3, 2.0, 0.0)
    assert torch.allclose(wrapped.eval()(X), base(X), atol=1e-6)
    shaken(wrapped)
    changed = weight(base) + 2.0 * wrapped.lora_B @ wrapped.lora_A
    direction = changed / changed.norm(dim=1, keepdim=True)
    assert torch.allclose(wrapped(X), functional.linear(X, wrapped.magnitude[:, None] * direction, base.bias), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_dora_gradients_are_pefts(kind):
    """The norm is a constant in the backward pass (section 4.3), in both."""
    peft_lora = pytest.importorskip("peft.tuners.lora")
    peft = pytest.importorskip("peft")
    ours = shaken(DoraLinear(layer(kind), 3, 2.0, 0.0))
    config = peft.LoraConfig(r=3, lora_alpha=6, use_dora=True, fan_in_fan_out=kind == "conv1d")
    theirs = peft_lora.Linear(layer(kind), "default", config=config, r=3, lora_alpha=6, is_target_conv_1d_layer=kind == "conv1d")
    pairs = {
        "lora_A": theirs.lora_A["default"].weight,
        "lora_B": theirs.lora_B["default"].weight,
        "magnitude": theirs.lora_magnitude_vector["default"].weight,
    }
    with torch.no_grad():
        for name, parameter in pairs.items():
            parameter.copy_(getattr(ours, name))
    ours(X).square().sum().backward()
    theirs(X).square().sum().backward()
    assert torch.allclose(ours(X), theirs(X), atol=1e-5)
    for name, parameter in pairs.items():
        assert torch.allclose(getattr(ours, name).grad, parameter.grad, rtol=1e-4, atol=1e-3), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scales_input", [False, True])
def test_ia3_scales_as_peft_does(kind, scales_input):
    peft_ia3 = pytest.importorskip("peft.tuners.ia3.layer")
    peft = pytest.importorskip("peft")
    ours = shaken(Scaled(layer(kind), scales_input))
    config = peft.IA3Config(fan_in_fan_out=kind == "conv1d")
    theirs = peft_ia3.Linear(layer(kind), "default", config=config, is_feedforward=scales_input)
    with torch.no_grad():
        theirs.ia3_l["default"].copy_(ours.ia3_l)
    assert torch.allclose(ours(X), theirs(X), atol=1e-6)
    assert not torch.allclose(ours(X), ours.base_layer(X), atol=1e-2)


def test_dropout_acts_on_what_the_small_matrices_read_and_only_in_training():
    wrapped = shaken(LoraLinear(layer("linear"), 3, 1.0, 0.5))
    assert torch.equal(wrapped(X), wrapped(X))
    wrapped.train()
    assert not torch.equal(wrapped(X), wrapped(X))
    with torch.no_grad():
        wrapped.lora_B.zero_()
    assert torch.equal(wrapped(X), wrapped.base_layer(X))


def test_small_steps_are_not_lost_to_rounding():
    """A float32 adapter beside a bfloat16 weight moves by steps that bfloat16 would round away."""
    wrapped = LoraLinear(layer("linear").to(torch.bfloat16), 3, 1.0, 0.0)
    with torch.no_grad():
        wrapped.lora_B.fill_(1.0)
        for _ in range(1000):
            wrapped.lora_B.add_(1e-4)
    assert torch.allclose(wrapped.lora_B, torch.tensor(1.1), atol=1e-3)
    assert wrapped(X.to(torch.bfloat16)).dtype == torch.bfloat16


def run_block(network, inputs):
    """Input of the feed-forward part, outputs of attention and feed-forward, of BERT's first block."""
    seen = {}
    block = network.inner.bert.encoder.layer[0]
    hooks = [
        block.intermediate.dense.register_forward_pre_hook(lambda _, given: seen.update(read=given[0])),
        block.output.dense.register_forward_hook(lambda _, __, out: seen.update(forward=out)),
        block.attention.output.dense.register_forward_hook(lambda _, __, out: seen.update(attention=out)),
    ]
    with torch.no_grad():
        network.eval()(inputs)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer", "parallel"])
def test_bottlenecks_sit_where_the_docstring_says(make, batch_of, shake, placement):
    network, plain = make(), make()
    before = run_block(plain, batch_of(plain))
    applied = apply_bottleneck(network, BottleneckSettings(placement=placement, size=4, scale=2.0, layers=(0,)))
    names = {name.split(".adapter.")[0] for name in applied.trainable}
    block = "inner.bert.encoder.layer.0."
    assert names == {block + "output.dense", *([block + "attention.output.dense"] if placement == "houlsby" else [])}
    shake(network, applied.trainable)
    after = run_block(network, batch_of(network))

    def adapter(host, x):
        found = network.get_submodule(block + host).adapter
        return 2.0 * found.up(functional.relu(found.down(x)))

    if placement == "houlsby":
        assert torch.allclose(
            after["attention"], before["attention"] + adapter("attention.output.dense", before["attention"]), atol=1e-5
        )
        return
    assert torch.equal(after["attention"], before["attention"])
    read = before["forward"] if placement == "pfeiffer" else before["read"]
    assert torch.allclose(after["forward"], before["forward"] + adapter("output.dense", read), atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "gemma", "gemma2"])
@pytest.mark.parametrize("pooling", ["native", "last"])
def test_a_prefix_and_a_prompt_of_the_same_words_start_alike_in_a_decoder(make, logits, family, pooling):
    """A causal model reads words the same way whether their keys are kept or computed: both equal the text itself."""
    outputs = []
    for method in ("prefix", "prompt"):
        network = make(family, pooling)
        part = load_part("methods", method)
        part.apply(network, part.Settings(tokens=2, words="good bad"))
        outputs.append(logits(network))
    assert torch.allclose(outputs[0], outputs[1], atol=1e-5)
    spelled = make(family, pooling)
    texts = tuple(f"good bad {text}" for text in ("i love the film", "the parcel was late"))
    assert torch.allclose(logits(spelled, texts), outputs[0][:2], atol=1e-5)


@pytest.mark.parametrize("method", ["prefix", "prompt"])
@pytest.mark.parametrize("pooling", ["native", "mean", "cls"])
def test_virtual_tokens_do_not_depend_on_padding(make, logits, shake, method, pooling):
    for family in ("bert", "roberta", "gpt2"):
        network = make(family, pooling)
        part = load_part("methods", method)
        shake(network, part.apply(network, part.Settings(tokens=3)).trainable)
        assert torch.allclose(logits(network)[-1:], logits(network, ("no",)), atol=1e-5), family


@pytest.mark.parametrize("method", ["prefix", "prompt"])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_the_last_layer_still_reads_what_features_says(make, batch_of, logits, method, family):
    network = make(family)
    part = load_part("methods", method)
    part.apply(network, part.Settings(tokens=3))
    with torch.no_grad():
        assert torch.allclose(network.last_linear(network.features(batch_of(network))), logits(network), atol=1e-5)
