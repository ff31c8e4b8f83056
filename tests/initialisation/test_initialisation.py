from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression, Ridge

from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import Labels
from tunewright.models.network import Network
from tunewright.models.tiny import FAMILIES

NAMES = [part.name for part in list_parts("initialization")]
CLASSES = Labels("classification", ("a", "b", "c"))
SEVERAL = Labels("multi_label", ("a", "b", "c"))
WIDTH = 32


def task_data(labels: Labels, rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of odd centre and spread, and targets that depend on them."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, WIDTH))
    signal = x @ generator.normal(size=(WIDTH, 3)) + generator.normal(size=(rows, 3))
    x = (3 + 0.2 * x).astype(np.float32)
    if labels.task == "classification":
        return x, signal.argmax(1)
    if labels.task == "multi_label":
        return x, (signal > 1).astype(np.int64)
    return x, (labels.mean + labels.spread * signal[:, 0] / signal[:, 0].std()).astype(np.float32)


def start(network: Network, name: str, labels: Labels = CLASSES, seed: int = 0, rows: int = 200, **settings: Any) -> str:
    part = load_part("initialization", name)
    x, y = task_data(labels, rows)
    said: str = part.initialize(network, lambda: x, y, labels, part.Settings(**settings), seed)
    return said


def logits(network: Network, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network.last_linear(torch.from_numpy(x)).numpy()


def state(network: Network) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def test_the_folder_holds_what_the_recipe_promises() -> None:
    assert {"normal", "linear_probe", "reinitialize_top", "prior_bias"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_contract(make: Callable[..., Network], name: str) -> None:
    first, second, plain = make(), make(), make()
    random_state = torch.get_rng_state()
    assert start(first, name, seed=3) == start(second, name, seed=3) != ""
    assert torch.equal(torch.get_rng_state(), random_state)  # draws from generators of its own
    changed = {key for key, value in state(plain).items() if not torch.equal(value, state(first)[key])}
    assert changed
    assert all(torch.equal(value, state(second)[key]) for key, value in state(first).items())
    if name not in ("reinitialize_top", "random_above"):
        assert changed <= set(first.head_names)
    part = load_part("initialization", name)
    assert all(field.description for field in part.Settings.model_fields.values())
    with pytest.raises(ValidationError):
        part.Settings(unknown=1)


def test_features_are_computed_only_by_those_that_need_them(make: Callable[..., Network]) -> None:
    def refuse() -> np.ndarray:
        raise AssertionError("computed")

    targets = np.array([0, 1, 2, 0])
    for name in ("normal", "prior_bias", "reinitialize_top", "random_above"):
        part = load_part("initialization", name)
        part.initialize(make(), refuse, targets, CLASSES, part.Settings(), 0)
    probe = load_part("initialization", "linear_probe")
    with pytest.raises(AssertionError, match="computed"):  # negative control
        probe.initialize(make(), refuse, targets, CLASSES, probe.Settings(), 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_normal_has_the_models_own_spread_in_every_new_matrix(make: Callable[..., Network], family: str) -> None:
    network = make(family)
    start(network, "normal", seed=5, spread=0.5)
    for name in network.head_names:
        parameter = network.get_parameter(name)
        if parameter.ndim > 1:
            assert 0.4 < float(parameter.detach().std()) < 0.6, name
        else:
            assert float(parameter.detach().abs().sum()) == 0 or not name.endswith("bias"), name
    start(network, "normal", seed=5)
    own = float(getattr(network.inner.config, "initializer_range", None) or 0.02)
    assert float(network.last_linear.weight.detach().std()) == pytest.approx(own, rel=0.25)


def test_normal_with_another_seed_is_another_head(make: Callable[..., Network]) -> None:
    first, second = make(), make()
    start(first, "normal", seed=1)
    start(second, "normal", seed=2)
    assert not torch.equal(first.last_linear.weight, second.last_linear.weight)


def test_the_probe_is_scikit_learns_logistic_regression(make: Callable[..., Network]) -> None:
    network, (x, y) = make(), task_data(CLASSES)
    start(network, "linear_probe", strength=0.1, iterations=1000)
    reference = LogisticRegression(C=0.1, max_iter=2000, tol=1e-8).fit((x - x.mean(0)) / x.std(), y)
    wanted = reference.predict_proba((x - x.mean(0)) / x.std())
    assert np.abs(torch.from_numpy(logits(network, x)).softmax(1).numpy() - wanted).max() < 2e-3


def test_the_probe_of_several_labels_is_one_logistic_regression_each(make: Callable[..., Network]) -> None:
    network, (x, y) = make(labels=SEVERAL), task_data(SEVERAL)
    start(network, "linear_probe", SEVERAL, strength=0.1, iterations=1000)
    scaled = (x - x.mean(0)) / x.std()
    found = torch.from_numpy(logits(network, x)).sigmoid().numpy()
    for column in range(3):
        reference = LogisticRegression(C=0.1, max_iter=2000, tol=1e-8).fit(scaled, y[:, column])
        assert np.abs(found[:, column] - reference.predict_proba(scaled)[:, 1]).max() < 2e-3


@pytest.mark.parametrize("task", ["regression", "sentence_similarity"])
def test_the_probe_of_numbers_is_ridge_regression(make: Callable[..., Network], task: Any) -> None:
    labels = Labels(task, (), mean=100.0, spread=7.0)
    network, (x, y) = make(labels=labels), task_data(labels)
    start(network, "linear_probe", labels, strength=0.1)
    scaled = (x - x.mean(0)).astype(np.float64) / x.std()
    wanted = Ridge(alpha=10.0).fit(scaled, (y - 100.0) / 7.0).predict(scaled)
    assert np.abs(logits(network, x)[:, 0] - wanted).max() < 1e-3


@pytest.mark.parametrize("labels", [CLASSES, SEVERAL, Labels("regression", (), mean=5.0, spread=2.0)])
def test_the_chosen_strength_is_good_on_new_rows(make: Callable[..., Network], labels: Labels) -> None:
    """On unseen rows it is about as good as the best strength; the strictest is worse (negative control)."""
    x, y = task_data(labels, 1200)
    probe = load_part("initialization", "linear_probe")
    losses = {}
    for strength in (None, *probe._STRENGTHS):
        network = make(labels=labels)
        probe.initialize(network, lambda: x[:300], y[:300], labels, probe.Settings(strength=strength), 0)
        wanted = probe._wanted(y[300:], labels)
        losses[strength] = float(probe._losses(torch.from_numpy(logits(network, x[300:])), wanted, labels).mean())
    best = min(losses.values())
    assert losses[None] < 1.15 * best
    assert losses[0.003] > 1.15 * best or labels.task == "regression"


def test_the_probe_does_not_depend_on_the_features_scale_or_origin(make: Callable[..., Network]) -> None:
    x, y = task_data(CLASSES)
    probe = load_part("initialization", "linear_probe")
    found = []
    for given in (x, 100 * x - 7):
        network = make()
        probe.initialize(network, lambda given=given: given, y, CLASSES, probe.Settings(strength=0.1), 0)
        found.append(logits(network, given))
    assert np.abs(found[0] - found[1]).max() < 0.05


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_the_probe_survives_few_rows_and_an_absent_class(make: Callable[..., Network], rows: int) -> None:
    network, probe = make(), load_part("initialization", "linear_probe")
    x = np.ones((rows, WIDTH), dtype=np.float32)
    probe.initialize(network, lambda: x, np.arange(rows) % 2, CLASSES, probe.Settings(), 0)
    assert all(bool(torch.isfinite(value).all()) for value in network.last_linear.parameters())
    assert logits(network, x)[0, 2] < logits(network, x)[0, 0]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_probe_of_a_head_without_bias(make: Callable[..., Network], family: str) -> None:
    network, (x, y) = make(family), task_data(CLASSES)
    assert network.last_linear.bias is None
    start(network, "linear_probe")
    assert (logits(network, x).argmax(1) == y).mean() > 0.6


def test_the_probe_is_fast_enough() -> None:
    """Half of what 770 rows of 77 classes may take, on one thread."""
    probe, labels = load_part("initialization", "linear_probe"), Labels("classification", tuple(map(str, range(77))))
    generator = np.random.default_rng(0)
    y = np.arange(770) % 77
    centres = generator.normal(size=(77, 384))
    x = torch.from_numpy((centres[y] + 2 * generator.normal(size=(770, 384))).astype(np.float32))
    begun = time.process_time()
    strength = probe._choose(x, torch.from_numpy(y), labels, True, 100, 0)
    probe._fit(x, torch.from_numpy(y), labels, strength, True, 100)
    assert time.process_time() - begun < 10  # measured 0.8 s; loose because machines differ


@pytest.mark.parametrize("family", FAMILIES)
def test_reinitialize_top_redraws_the_top_block_by_the_models_rule_and_nothing_else(
    make: Callable[..., Network], family: str
) -> None:
    network, plain, third = make(family), make(family), make(family)
    with torch.no_grad():
        for net in (network, plain, third):
            for parameter in net.parameters():
                parameter.mul_(3).add_(0.01)
    start(network, "reinitialize_top", layers=1, seed=4)
    start(third, "reinitialize_top", layers=1, seed=5)
    top = set(network.stack.blocks[-1].parameters)
    range_ = float(getattr(network.inner.config, "initializer_range", None) or 0.02)
    for name, parameter in network.named_parameters():
        same = torch.equal(parameter, plain.get_parameter(name))
        assert same == (name not in top), name
        if name in top and parameter.ndim > 1:
            assert not torch.equal(parameter, third.get_parameter(name)), name
            assert family == "t5" or float(parameter.detach().std()) < 1.6 * range_, name


def test_reinitialize_top_keeps_rules_that_an_outer_module_has_for_an_inner_one(make: Callable[..., Network]) -> None:
    """GPT-2 draws what writes to the residual stream narrower, by 1 / sqrt(2 layers) (Radford et al. 2019, section 2.3)."""
    network = make("gpt2")
    start(network, "reinitialize_top", layers=1)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters() if ".h.2." in name}
    narrow = [value.std() for name, value in weights.items() if name.endswith("c_proj.weight")]
    wide = [value.std() for name, value in weights.items() if name.endswith(("c_attn.weight", "c_fc.weight"))]
    assert [float(value) for value in narrow] == pytest.approx([0.02 / 6**0.5] * 2, rel=0.1)
    assert [float(value) for value in wide] == pytest.approx([0.02] * 2, rel=0.1)


def test_reinitialize_top_refuses_more_blocks_than_there_are_and_adapters(make: Callable[..., Network]) -> None:
    with pytest.raises(UserError, match="at most 3"):
        start(make(), "reinitialize_top", layers=4)
    network, lora = make(), load_part("methods", "lora")
    network.stack  # noqa: B018 - read before the method changes the module tree
    lora.apply(network, lora.Settings())
    with pytest.raises(UserError, match="adapters"):
        start(network, "reinitialize_top", layers=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_above_keeps_the_lowest_layers_and_draws_every_other_weight(make: Callable[..., Network], family: str) -> None:
    network, plain = make(family), make(family)
    with torch.no_grad():
        for net in (network, plain):
            for parameter in net.parameters():
                parameter.mul_(3).add_(0.01)
    shared = network.stack.shared > 1
    start(network, "random_above", kept=0 if shared else 2, seed=4)
    lowest = {name for group in network.stack.groups[: 0 if shared else 2] for name in group.parameters}
    for name, parameter in network.named_parameters():
        same = torch.equal(parameter, plain.get_parameter(name))
        assert same == (name in lowest or name in network.head_names), name
    if shared:
        with pytest.raises(UserError, match="share their weights"):
            start(network, "random_above", kept=2)
    with pytest.raises(UserError, match="the layers below the head"):
        start(network, "random_above", kept=50)


def test_prior_bias_makes_a_zero_head_predict_the_base_rates(make: Callable[..., Network]) -> None:
    network, part = make(), load_part("initialization", "prior_bias")
    targets = np.array([0] * 900 + [1] * 90 + [2] * 10)
    part.initialize(network, lambda: np.zeros(0), targets, CLASSES, part.Settings(), 0)
    assert network.last_linear.bias is not None
    assert network.last_linear.bias.detach().softmax(0).numpy() == pytest.approx([0.9, 0.09, 0.01], abs=2e-3)


def test_prior_bias_of_several_labels_and_of_numbers(make: Callable[..., Network]) -> None:
    part = load_part("initialization", "prior_bias")
    network = make(labels=SEVERAL)
    part.initialize(network, lambda: np.zeros(0), np.array([[1, 0, 0], [1, 0, 1]] * 100), SEVERAL, part.Settings(), 0)
    assert network.last_linear.bias.detach().sigmoid().numpy() == pytest.approx([1, 0, 0.5], abs=0.01)
    numbers = Labels("regression", (), mean=4.0, spread=2.0)
    network = make(labels=numbers)
    part.initialize(network, lambda: np.zeros(0), np.array([2.0, 6.0]), numbers, part.Settings(), 0)
    assert float(network.last_linear.bias.detach()) == 0.0


def test_prior_bias_says_that_a_decoders_head_has_none(make: Callable[..., Network]) -> None:
    assert "no bias" in start(make("llama"), "prior_bias")
