from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tunewright.averaging import Averaged, Tensors
from tunewright.core.files import read_tensors, write_tensors
from tunewright.core.registry import list_parts, load_part

NAMES = [part.name for part in list_parts("averaging")]
SHAPES = {"matrix": (3, 2), "vector": (4,)}


def weights(seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def near(target: Tensors) -> Callable[[Tensors], float]:
    """A score that is the higher the nearer weights are to ``target``."""
    return lambda given: -sum(float((given[name] - target[name]).square().sum()) for name in target)


def mean(*several: Tensors) -> Tensors:
    return {name: torch.stack([one[name] for one in several]).mean(0) for name in several[0]}


def close(first: Tensors, second: Tensors) -> bool:
    return set(first) == set(second) and all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def drive(name: str, path: list[Tensors], score: Callable[[Tensors], float], best: Tensors | None = None) -> Averaged:
    """One run: the weights of each step in turn, each one evaluated."""
    part = load_part("averaging", name)
    settings = part.Settings()
    memory = part.begin(path[0], settings)
    for step, now in enumerate(path[1:], 1):
        part.update(memory, now, step, settings)
        part.observe(memory, now, score(now), settings)
    finished: Averaged = part.finish(memory, best or max(path[1:], key=score), score, settings)
    return finished


def test_the_folder_holds_what_the_recipe_promises() -> None:
    assert {"ema", "soup", "wise_ft"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    path, target = [weights(seed) for seed in range(5)], weights(9)
    kept = [{key: value.clone() for key, value in one.items()} for one in path]
    averaged = drive(name, path, near(target))
    assert averaged.said
    assert {key: value.shape for key, value in averaged.weights.items()} == {
        key: torch.Size(shape) for key, shape in SHAPES.items()
    }
    assert all(len(row) == len(averaged.columns) for row in averaged.table)
    assert all(close(before, after) for before, after in zip(kept, path, strict=True))  # what it was given is as it was
    part = load_part("averaging", name)
    assert all(field.description for field in part.Settings.model_fields.values())
    with pytest.raises(ValidationError):
        part.Settings(unknown=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_memory_saved_and_read_again_continues_the_same(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    part, path, score = load_part("averaging", name), [weights(seed) for seed in range(5)], near(weights(9))
    settings = part.Settings()
    first = part.begin(path[0], settings)
    for step in (1, 2):
        part.update(first, path[step], step, settings)
        part.observe(first, path[step], score(path[step]), settings)
    write_tensors(tmp_path / "memory.safetensors", first)
    second = read_tensors(tmp_path / "memory.safetensors")
    results = []
    for memory in (first, second):
        for step in (3, 4):
            part.update(memory, path[step], step, settings)
            part.observe(memory, path[step], score(path[step]), settings)
        results.append(part.finish(memory, path[4], score, settings).weights)
    assert all(torch.equal(results[0][key], results[1][key]) for key in SHAPES)


@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_are_never_averaged(name: str) -> None:
    path = [{**weights(seed), "count": torch.tensor([seed])} for seed in range(4)]
    averaged = drive(name, path, near(weights(9)), best=path[3])
    assert averaged.weights["count"].dtype == torch.int64
    assert int(averaged.weights["count"]) in (0, 3)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_ema_is_the_bias_corrected_sum(steps: int) -> None:
    part = load_part("averaging", "ema")
    settings, path = part.Settings(decay=0.8), [weights(seed) for seed in range(steps + 1)]
    memory = part.begin(path[0], settings)
    for step in range(1, steps + 1):
        part.update(memory, path[step], step, settings)
    shares = [0.2 * 0.8 ** (steps - step) / (1 - 0.8**steps) for step in range(1, steps + 1)]
    assert sum(shares) == pytest.approx(1)
    wanted = {key: sum(share * one[key] for share, one in zip(shares, path[1:], strict=True)) for key in SHAPES}
    assert close(memory, wanted)  # type: ignore[arg-type]


def test_ema_follows_live_parameters_without_their_gradients() -> None:
    part = load_part("averaging", "ema")
    live: dict[str, Tensor] = {"w": torch.nn.Parameter(torch.ones(3))}
    memory = part.begin(live, part.Settings())
    with torch.no_grad():
        live["w"].fill_(5.0)
    part.update(memory, live, 1, part.Settings())
    assert torch.equal(memory["w"], torch.full((3,), 5.0))
    assert not memory["w"].requires_grad


def test_greedy_soup_is_recipe_1_of_wortsman_et_al() -> None:
    """Two weights on either side of the target are mixed, a far one is left out."""
    target = weights(0)
    aside = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    left, right, far = ({name: target[name] + offset * aside[name] for name in SHAPES} for offset in (-1.0, 1.1, 9.0))
    averaged = drive("soup", [weights(5), far, left, right], near(target))
    assert close(averaged.weights, mean(left, right))
    assert "2 evaluations" in averaged.said
    assert [row[0] for row in averaged.table] == [1, 2, 2]
    assert averaged.table[2][1] < averaged.table[1][1]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_soup_is_never_worse_than_its_best_ingredient(seed: int) -> None:
    score = near(weights(100 + seed))
    path = [weights(seed * 10 + number) for number in range(8)]
    assert score(drive("soup", path, score).weights) >= max(score(one) for one in path[1:])


def test_greedy_soup_keeps_only_the_best_candidates() -> None:
    part = load_part("averaging", "soup")
    settings, memory = part.Settings(size=2), {}
    for number, value in enumerate((0.1, 0.9, 0.5, 0.2)):
        part.observe(memory, weights(number), value, settings)
    assert sorted(float(tensor) for key, tensor in memory.items() if key.endswith("/value")) == [0.5, 0.9]
    assert len(memory) == 2 * (1 + len(SHAPES))


def test_greedy_soup_starts_from_the_weights_it_is_given() -> None:
    """After another averaging has found better weights, the soup begins with those."""
    best, path = weights(50), [weights(seed) for seed in range(4)]
    assert close(drive("soup", path, near(best), best=best).weights, best)


def test_wise_ft_finds_the_point_on_the_line() -> None:
    start, end = weights(0), weights(1)
    target = {name: 0.7 * start[name] + 0.3 * end[name] for name in SHAPES}
    averaged = drive("wise_ft", [start, end], near(target))
    assert close(averaged.weights, target)
    assert "0.30" in averaged.said
    assert [row[0] for row in averaged.table] == pytest.approx([number / 10 for number in range(11)])
    assert averaged.table[3][1] == max(row[1] for row in averaged.table)


def test_wise_ft_reaches_both_ends_exactly_and_takes_a_wanted_point() -> None:
    part, start, end = load_part("averaging", "wise_ft"), weights(0), weights(1)
    for alpha, wanted in ((0.0, start), (1.0, end), (0.25, {name: 0.75 * start[name] + 0.25 * end[name] for name in SHAPES})):
        settings = part.Settings(alpha=alpha)
        averaged = part.finish(part.begin(start, settings), end, near(end), settings)
        assert close(averaged.weights, wanted)
        if alpha in (0.0, 1.0):
            assert all(torch.equal(averaged.weights[name], wanted[name]) for name in SHAPES)
