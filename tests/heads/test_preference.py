"""Preferences: log-probabilities are those of the answers, the untouched network is remembered, every objective learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.config.recipe import Choice
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.encoded import targets_of
from tunewright.modalities.language.conversations import Judgement, Preference
from tunewright.modalities.language.messages import Message
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.workflow import fit
from tunewright.preference_losses import kto, log_probabilities
from tunewright.tasks.preference_optimization import task as preference
from tunewright.training.predict import passes

LABELS = Labels("preference_optimization")
KTO = preference.Settings(objective=Choice(name="kto"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("models") / "llama")


def loaded(folder: Path) -> Network:
    return load_network(str(folder), LABELS, form=Form("conversation", "AutoModelForCausalLM", "vocabulary"))


def pairs(count: int) -> list[tuple[Preference]]:
    good, bad = "great love happy " * 2, "awful hate"
    return [
        (Preference((Message("user", f"what is {n}"),), Message("assistant", good + str(n)), Message("assistant", f"{bad} {n}")),)
        for n in range(count)
    ]


def rows(count: int) -> list[dict[str, str]]:
    return [
        {"prompt": f"what is {n % 9}", "chosen": f"great love {n % 7}", "rejected": f"awful hate sad {n % 5}"}
        for n in range(count)
    ]


@torch.no_grad()
def test_dpo_is_the_paper_s_equation_on_transformers_logits(folder: Path) -> None:
    network, settings = loaded(folder), preference.Settings()
    examples = preference.encode(network, pairs(5), None, settings, 64)
    examples = preference.remember(examples, passes(network, examples, tokens=100))
    order = np.array([3, 0, 4])
    targets = targets_of(examples, order, torch.device("cpu"))
    inputs = examples.encoded.collate(order)
    before = log_probabilities(network.inner(**inputs).logits, targets["labels"])[0].reshape(2, -1)
    torch.testing.assert_close(targets["reference"].T, before, rtol=1e-5, atol=1e-5)
    for parameter in network.parameters():
        parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    now = log_probabilities(network.inner(**inputs).logits, targets["labels"])[0].reshape(2, -1)
    wanted = -functional.logsigmoid(0.1 * ((now[0] - before[0]) - (now[1] - before[1])))
    output = network(inputs)
    torch.testing.assert_close(preference.losses(output, targets, LABELS, settings, None), wanted, rtol=1e-4, atol=1e-5)
    kept = preference.keep(output, examples.encoded, order)  # type: ignore[arg-type]
    torch.testing.assert_close(
        torch.from_numpy(kept).float(), 0.1 * ((now - before)[0] - (now - before)[1]), rtol=1e-3, atol=1e-4
    )


@torch.no_grad()
def test_kto_judges_both_answers_of_a_pair_and_estimates_the_divergence_from_foreign_ones(folder: Path) -> None:
    network = loaded(folder)
    examples = preference.encode(network, pairs(3), None, KTO, 64)
    examples = preference.remember(examples, passes(network, examples))
    encoded: Any = examples.encoded
    assert (encoded.signs.tolist(), encoded.rows.tolist()) == ([1, -1] * 3, [0, 0, 1, 1, 2, 2])
    everything = np.arange(6)
    targets = targets_of(examples, everything, torch.device("cpu"))
    for parameter in network.parameters():
        parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    output = network(encoded.collate(everything))
    now = preference._summed(output, targets["labels"])[0].reshape(2, -1)
    centre = kto.divergence(now[1], targets["reference"][:, 1])
    gains = now[0] - targets["reference"][:, 0] - centre
    wanted = torch.sigmoid(-0.1 * torch.where(targets["signs"] > 0, gains, -gains))
    torch.testing.assert_close(preference.losses(output, targets, LABELS, KTO, None), wanted, rtol=1e-4, atol=1e-5)
    kept = preference.keep(output, encoded, everything)
    margins = preference.decode(kept, LABELS, encoded).values
    assert margins == pytest.approx(kept.reshape(3, 2).sum(1))


def test_a_judged_answer_alone(folder: Path) -> None:
    network = loaded(folder)
    judged = [(Judgement((Message("user", "why"),), Message("assistant", f"now {n}"), bool(n % 2)),) for n in range(4)]
    encoded: Any = preference.encode(network, judged, None, KTO, 64).encoded
    assert encoded.signs.tolist() == [-1, 1, -1, 1]
    with pytest.raises(UserError, match="dpo compares two answers"):
        preference.encode(network, judged, None, preference.Settings(), 64)


def test_subsets_keep_texts_with_their_examples(folder: Path) -> None:
    examples = preference.encode(loaded(folder), pairs(4), None, preference.Settings(), 64)
    encoded: Any = examples.encoded
    some = encoded.subset(np.array([2, 0]))
    assert [some.flat.row(place) for place in range(4)] == [encoded.flat.row(place) for place in (4, 5, 0, 1)]
    assert some.lengths.tolist() == encoded.lengths[[2, 0]].tolist()


def test_judged_rows_are_learnt_by_kto_where_no_objective_is_named(folder: Path, tmp_path: Path) -> None:
    judged = [
        {"prompt": f"what is {n % 9}", "completion": f"{'great love' if n % 2 else 'awful hate'} {n % 7}", "label": bool(n % 2)}
        for n in range(40)
    ]
    data = {"task": "preference_optimization", "near_duplicates": "ignore"}
    run = fit(judged, method="full", model=str(folder), out=tmp_path / "run", training={"max_steps": 2}, data=data)
    assert "Objective: kto (guessed: each row has one answer that is judged)." in run.details["said"]
    assert run.finished
    with pytest.raises(UserError, match="dpo compares two answers"):
        fit(
            judged,
            model=str(folder),
            out=tmp_path / "other",
            data=data,
            head={"name": "preference_optimization", "objective": "dpo"},
        )


@pytest.mark.parametrize("objective", ["dpo", "ipo", "kto", "orpo", "simpo"])
def test_every_objective_ranks_the_answers(folder: Path, tmp_path: Path, objective: str) -> None:
    run = fit(
        rows(30),
        model=str(folder),
        strategy="lora",
        out=tmp_path / "run",
        head={"name": "preference_optimization", "objective": objective},
        optimization={"learning_rate": 1e-2},
        training={"epochs": 4, "batch_size": 8},
        data={"near_duplicates": "ignore"},
        evaluation={"certify": objective == "dpo", "resamples": 100},
    )
    scores = {entry["name"]: entry["value"] for entry in run.all_scores()}
    assert scores["reward_accuracy"] == 1.0
    assert scores["reward_margin"] > 0
    given = {score.name: score.value for score in run.evaluate(rows(6))}  # the base model is read again where it is compared with
    assert given["reward_accuracy"] == 1.0
    if objective == "dpo":
        assert run.manifest["certified"]["with"] == ["tunewright", "peft PeftModel"]


def test_settings_of_an_objective_are_checked_before_anything_runs(folder: Path) -> None:
    with pytest.raises(UserError, match="objective"):
        fit(rows(9), model=str(folder), head={"name": "preference_optimization", "objective": {"name": "ipo", "beta": 1}})
    with pytest.raises(UserError, match="objective"):
        fit(rows(9), model=str(folder), head={"name": "preference_optimization", "objective": "nothing"})
