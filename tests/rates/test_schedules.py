from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from pydantic import ValidationError

from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import EvaluationResult

NAMES = [part.name for part in list_parts("schedules")]
STEPS = 200


def factors(name: str, steps: int = STEPS, **settings: Any) -> list[float]:
    part = load_part("schedules", name)
    return [part.factor(step / steps, part.Settings(**settings), ()) for step in range(steps + 1)]


def reference(build: Callable[[torch.optim.Optimizer], Any], steps: int = STEPS, rate: float = 1.0) -> list[float]:
    """The rates that a library's schedule sets, from step 0 on."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    schedule = build(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def evaluations(pattern: str) -> list[EvaluationResult]:
    """'+' is a better evaluation, '-' one that is not."""
    return [EvaluationResult(number, number / 100, {}, 0.0, sign == "+") for number, sign in enumerate(pattern)]


def test_the_folder_holds_what_the_recipe_promises() -> None:
    wanted = "constant linear cosine cosine_restarts slanted_triangular one_cycle warmup_stable_decay plateau"
    assert set(wanted.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    part = load_part("schedules", name)
    curve = factors(name)
    assert all(math.isfinite(value) and 0 <= value <= 1 + 1e-12 for value in curve)
    assert max(curve) == pytest.approx(1.0)
    assert curve == factors(name)  # pure
    for key, field in part.Settings.model_fields.items():
        assert field.description, key
    with pytest.raises(ValidationError):
        part.Settings(unknown=1)


@pytest.mark.parametrize("name", [name for name in NAMES if "warmup" in load_part("schedules", name).Settings.model_fields])
def test_warm_up_rises_in_a_straight_line(name: str) -> None:
    curve = factors(name, warmup=0.25)
    assert curve[:51] == pytest.approx([step / 50 for step in range(51)])


def test_linear_is_transformers() -> None:
    wanted = reference(lambda optimizer: transformers.get_linear_schedule_with_warmup(optimizer, 20, STEPS))
    assert factors("linear", warmup=0.1) == pytest.approx(wanted)


def test_cosine_is_transformers() -> None:
    wanted = reference(lambda optimizer: transformers.get_cosine_schedule_with_warmup(optimizer, 20, STEPS))
    assert factors("cosine", warmup=0.1) == pytest.approx(wanted, abs=1e-9)


def test_cosine_with_a_floor_is_torchs() -> None:
    wanted = reference(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.1))
    assert factors("cosine", warmup=0.0, floor=0.1) == pytest.approx(wanted, abs=1e-9)


def test_cosine_restarts_is_transformers() -> None:
    build = transformers.get_cosine_with_hard_restarts_schedule_with_warmup
    wanted = reference(lambda optimizer: build(optimizer, 20, STEPS, num_cycles=3))
    assert factors("cosine_restarts", warmup=0.1, cycles=3) == pytest.approx(wanted, abs=1e-9)


def test_constant_is_transformers() -> None:
    wanted = reference(lambda optimizer: transformers.get_constant_schedule_with_warmup(optimizer, 20))
    assert factors("constant", warmup=0.1) == pytest.approx(wanted)


def test_slanted_triangular_is_equation_3_of_ulmfit() -> None:
    total, cut_frac, ratio = STEPS, 0.1, 32
    cut = math.floor(total * cut_frac)
    wanted = []
    for step in range(total + 1):
        share = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / cut_frac - 1))
        wanted.append((1 + share * (ratio - 1)) / ratio)
    curve = factors("slanted_triangular")
    assert curve == pytest.approx(wanted)
    assert curve[0] == curve[-1] == pytest.approx(1 / 32)
    assert curve.index(max(curve)) == cut


def test_one_cycle_is_torchs() -> None:
    """Torch counts its phases from 0 to total - 1; with the whole cycle on that grid the curves are the same."""

    def build(optimizer: torch.optim.Optimizer) -> Any:
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, STEPS + 1, pct_start=61 / (STEPS + 1), cycle_momentum=False)

    assert factors("one_cycle", rise=0.3) == pytest.approx(reference(build), abs=1e-9)


def test_warmup_stable_decay_is_transformers() -> None:
    def build(optimizer: torch.optim.Optimizer) -> Any:
        return transformers.get_wsd_schedule(
            optimizer, num_warmup_steps=20, num_decay_steps=40, num_training_steps=STEPS, decay_type="linear"
        )

    assert factors("warmup_stable_decay", warmup=0.1, decay=0.2) == pytest.approx(reference(build), abs=1e-9)


@pytest.mark.parametrize("pattern", ["+-----+---", "+" * 8, "-" * 9, "+--+--+----"])
def test_plateau_is_torchs(pattern: str) -> None:
    part = load_part("schedules", "plateau")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    # Torch waits one evaluation more than its patience before it cuts.
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.5, patience=1, threshold=0.0)
    history = evaluations("+" + pattern)
    value = 0.0
    for count, evaluated in enumerate(history, 1):
        value += evaluated.better
        schedule.step(value if evaluated.better else value - 0.5)
        ours = part.factor(0.5, part.Settings(patience=2, cut=0.5), history[:count])
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
