"""Preference losses: the papers' equations in plain floats, their limits, and the gradients' directions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tunewright.core.registry import list_parts, load_part
from tunewright.preference_losses import Scored, log_probabilities, margins

NAMES = ["dpo", "ipo", "kto", "orpo", "simpo"]
CHOSEN, REJECTED = [-12.0, -30.5, -3.25], [-15.0, -28.0, -3.0]
REFERENCE_CHOSEN, REFERENCE_REJECTED = [-13.0, -30.0, -3.25], [-14.0, -29.5, -6.0]
CHOSEN_LENGTHS, REJECTED_LENGTHS = [6, 20, 2], [8, 12, 3]
PLACES = range(3)


def scored(**changed: Any) -> Scored:
    given = Scored(
        *(torch.tensor(values, dtype=torch.float64) for values in (CHOSEN, REJECTED)),
        torch.tensor(CHOSEN_LENGTHS),
        torch.tensor(REJECTED_LENGTHS),
        *(torch.tensor(values, dtype=torch.float64) for values in (REFERENCE_CHOSEN, REFERENCE_REJECTED)),
        torch.tensor(0.7, dtype=torch.float64),
    )
    return replace(given, **changed)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def values_of(name: str, batch: Scored | None = None, **settings: Any) -> list[float]:
    part = load_part("preference_losses", name)
    found: list[float] = part.losses(batch or scored(), part.Settings(**settings)).tolist()
    return found


def gain(place: int) -> float:
    return (CHOSEN[place] - REFERENCE_CHOSEN[place]) - (REJECTED[place] - REFERENCE_REJECTED[place])


def test_these_are_all_parts_and_each_keeps_the_contract() -> None:
    assert [part.name for part in list_parts("preference_losses")] == NAMES
    for name in NAMES:
        part = load_part("preference_losses", name)
        assert isinstance(part.NEEDS_REFERENCE, bool) and isinstance(part.PAIRED, bool)
        assert all(field.description for field in part.Settings.model_fields.values())
        with pytest.raises(ValidationError):
            part.Settings(unknown=1)


def test_dpo_is_equation_7() -> None:
    assert values_of("dpo", beta=0.3) == pytest.approx([-math.log(sigmoid(0.3 * gain(place))) for place in PLACES])
    smooth = [-0.8 * math.log(sigmoid(0.3 * gain(i))) - 0.2 * math.log(sigmoid(-0.3 * gain(i))) for i in PLACES]
    assert values_of("dpo", beta=0.3, label_smoothing=0.2) == pytest.approx(smooth)


def test_dpo_starts_at_the_logarithm_of_2() -> None:
    start = scored()
    start = replace(start, chosen=start.reference_chosen, rejected=start.reference_rejected)
    assert values_of("dpo", start) == pytest.approx([math.log(2)] * 3)
    assert values_of("dpo", start, label_smoothing=0.3) == pytest.approx([math.log(2)] * 3)


def test_dpo_stays_finite_where_the_sigmoid_is_none() -> None:
    far = scored(chosen=torch.tensor([-1e4, 0.0, -1.0]), rejected=torch.tensor([0.0, -1e4, -1.0]))
    assert all(math.isfinite(value) for value in values_of("dpo", far, beta=1.0))


def test_ipo_is_equation_17() -> None:
    assert values_of("ipo", tau=0.2) == pytest.approx([(gain(place) - 1 / 0.4) ** 2 for place in PLACES])
    each = [
        (CHOSEN[i] - REFERENCE_CHOSEN[i]) / CHOSEN_LENGTHS[i] - (REJECTED[i] - REFERENCE_REJECTED[i]) / REJECTED_LENGTHS[i]
        for i in PLACES
    ]
    assert values_of("ipo", tau=0.2, per_token=True) == pytest.approx([(one - 1 / 0.4) ** 2 for one in each])


def test_ipo_is_content_at_its_aim_and_pulls_back_beyond_it() -> None:
    part = load_part("preference_losses", "ipo")
    chosen = torch.tensor([5.0, 4.0, 6.0], requires_grad=True)
    zero = torch.zeros(3)
    batch = scored(chosen=chosen, rejected=zero, reference_chosen=zero, reference_rejected=zero)
    part.losses(batch, part.Settings(tau=0.1)).sum().backward()
    assert chosen.grad is not None and chosen.grad.sign().tolist() == [0, -1, 1]


def test_kto_is_equation_8() -> None:
    beta, centre = 0.4, 0.7
    wanted = [1.5 - 1.5 * sigmoid(beta * (CHOSEN[i] - REFERENCE_CHOSEN[i] - centre)) for i in PLACES]
    unwanted = [0.5 - 0.5 * sigmoid(beta * (centre - (REJECTED[i] - REFERENCE_REJECTED[i]))) for i in PLACES]
    assert values_of("kto", beta=beta, desirable=1.5, undesirable=0.5) == pytest.approx(wanted + unwanted)


def test_kto_takes_any_number_of_each_kind() -> None:
    whole = scored()
    assert whole.reference_chosen is not None
    some = replace(whole, chosen=whole.chosen[:1], reference_chosen=whole.reference_chosen[:1])
    assert values_of("kto", some) == pytest.approx([values_of("kto")[0], *values_of("kto")[3:]])
    none = replace(whole, chosen=whole.chosen[:0], reference_chosen=whole.reference_chosen[:0])
    assert values_of("kto", none) == pytest.approx(values_of("kto")[3:])


def test_the_divergence_of_kto_is_a_mean_not_below_0_without_gradient() -> None:
    part = load_part("preference_losses", "kto")
    now, before = torch.tensor([-3.0, -5.0], requires_grad=True), torch.tensor([-4.0, -7.0])
    found = part.divergence(now, before)
    assert float(found) == 1.5 and not found.requires_grad
    assert float(part.divergence(before, now)) == 0.0
    chosen = torch.tensor(CHOSEN, requires_grad=True)
    centre = torch.tensor(0.7, requires_grad=True)
    part.losses(scored(chosen=chosen, divergence=centre), part.Settings()).sum().backward()
    assert centre.grad is None and chosen.grad is not None


def test_orpo_is_equations_6_and_7() -> None:
    def odds(mean: float) -> float:
        return math.exp(mean) / (1 - math.exp(mean))

    wanted = []
    for i in PLACES:
        chosen, rejected = CHOSEN[i] / CHOSEN_LENGTHS[i], REJECTED[i] / REJECTED_LENGTHS[i]
        wanted.append(-chosen - 0.25 * math.log(sigmoid(math.log(odds(chosen) / odds(rejected)))))
    assert values_of("orpo", odds=0.25) == pytest.approx(wanted)
    alone = [-CHOSEN[place] / CHOSEN_LENGTHS[place] for place in PLACES]
    assert values_of("orpo", odds=0) == pytest.approx(alone)


def test_orpo_stays_finite_where_an_answer_is_certain_or_hopeless() -> None:
    part = load_part("preference_losses", "orpo")
    chosen = torch.tensor([0.0, -1e-9, -1e5], requires_grad=True)
    rejected = torch.tensor([-1e5, 0.0, 0.0], requires_grad=True)
    found = part.losses(scored(chosen=chosen, rejected=rejected), part.Settings())
    found.sum().backward()
    for tensor in (found, chosen.grad, rejected.grad):
        assert tensor is not None and torch.isfinite(tensor).all()


def test_simpo_is_equation_6() -> None:
    wanted = [
        -math.log(sigmoid(2.5 * CHOSEN[i] / CHOSEN_LENGTHS[i] - 2.5 * REJECTED[i] / REJECTED_LENGTHS[i] - 0.6)) for i in PLACES
    ]
    assert values_of("simpo", beta=2.5, gamma=0.6) == pytest.approx(wanted)


@pytest.mark.parametrize("name", NAMES)
def test_descent_raises_the_chosen_and_lowers_the_rejected_answer(name: str) -> None:
    part = load_part("preference_losses", name)
    chosen, rejected = (torch.tensor(values, requires_grad=True) for values in (CHOSEN, REJECTED))
    part.losses(scored(chosen=chosen, rejected=rejected), part.Settings()).sum().backward()
    assert chosen.grad is not None and (chosen.grad < 0).all()
    assert rejected.grad is not None and (rejected.grad > 0).all()


@pytest.mark.parametrize("name", [name for name in NAMES if not load_part("preference_losses", name).NEEDS_REFERENCE])
def test_what_needs_no_reference_reads_none(name: str) -> None:
    assert values_of(name, scored(reference_chosen=None, reference_rejected=None)) == values_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_margins_are_above_0_where_the_chosen_answer_is_ahead(name: str) -> None:
    part = load_part("preference_losses", name)
    found = margins(part, scored(), part.Settings())
    if part.NEEDS_REFERENCE:
        ahead = [gain(place) > 0 for place in PLACES]
    else:
        ahead = [CHOSEN[i] / CHOSEN_LENGTHS[i] > REJECTED[i] / REJECTED_LENGTHS[i] for i in PLACES]
    assert (found > 0).tolist() == ahead and len(set(ahead)) == 2
    assert found.shape == (3,)


def test_margins_have_the_unit_of_the_loss() -> None:
    for name, beta in (("dpo", {"beta": 0.3}), ("kto", {"beta": 0.3}), ("ipo", {"tau": 0.3})):
        part = load_part("preference_losses", name)
        assert margins(part, scored(), part.Settings(**beta)).tolist() == pytest.approx([0.3 * gain(i) for i in PLACES])


@pytest.mark.parametrize("name", ["ipo", "orpo", "simpo"])
def test_an_answer_of_no_tokens_divides_by_nothing(name: str) -> None:
    nothing = torch.zeros(3)
    batch = scored(chosen=nothing, chosen_lengths=nothing.long())
    assert all(math.isfinite(value) for value in values_of(name, batch))


def test_log_probabilities_are_summed_over_the_learned_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 7, generator=generator)
    labels = torch.tensor([[3, -100, 2, 6, -100], [-100, -100, -100, -100, 1]])
    sums, counts = log_probabilities(logits, labels)
    table = logits.log_softmax(-1)
    assert torch.allclose(sums, torch.stack([table[0, 1, 2] + table[0, 2, 6], table[1, 3, 1]]), atol=1e-6)
    assert counts.tolist() == [2, 1]  # the first label has nothing before it
    assert log_probabilities(logits.bfloat16(), labels)[0].dtype == torch.float32
