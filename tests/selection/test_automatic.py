"""A run with no strategy named: what is decided, where the probe is what is saved, and that continued runs end alike."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunewright
from tests.engine.toy import toy_rows
from tests.listener import Listener
from tunewright.config.reader import resolve
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError
from tunewright.core.files import hash_file, read_json, read_tensors
from tunewright.models.tiny import tiny_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.auto_strategy import as_decided
from tunewright.pipeline.forgetting_budget import _recipes
from tunewright.pipeline.planning import find_rate
from tunewright.pipeline.steps import InMemoryData, PreparedRun, prepare_rows, set_up
from tunewright.pipeline.workflow import make_recipe, reproduce, resume
from tunewright.runs.run import Run
from tunewright.training.interrupts import Interrupted

PLAIN: dict[str, Any] = {
    "target": "label",
    "data": {"near_duplicates": "ignore"},
    "training": {"batch_size": 8, "threads": 1, "precision": "float32"},
    "evaluation": {"resamples": 100, "reports": [], "certify": False},
}
RUINOUS = {
    "optimization": {"learning_rate": 1.0, "head_learning_rate": 1.0}
}  # nothing that was learnt before is left after one step


def quick(**changes: Any) -> dict[str, Any]:
    """PLAIN with settings of its sections changed."""
    return {key: {**PLAIN[key], **changes.pop(key, {})} if key in ("training", "data") else PLAIN[key] for key in PLAIN} | changes


def setup_of(model: Path | str, rows: Any, **sections: Any) -> PreparedRun:
    recipe = make_recipe(model=str(model), **{"data": {"near_duplicates": "ignore"}, **sections})
    return set_up(recipe, prepare_rows(recipe, InMemoryData(rows)))


@pytest.fixture(scope="module")
def helped(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Fine-tuning helps: a random network's features tell little, and the topic words tell all."""
    out = tmp_path_factory.mktemp("auto") / "helped"
    return tunewright.fit(toy_rows(90), model=str(tiny_bert), out=out, **quick())


@pytest.fixture(scope="module")
def ruined(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[str]]:
    """Fine-tuning ruins what was there; and what the run said."""
    said: list[str] = []

    def listen(event: dict[str, Any]) -> None:
        said.extend(event["messages"] if event["kind"] == "messages" else ())

    out = tmp_path_factory.mktemp("auto") / "ruined"
    changed = quick(training={"epochs": 2}, evaluation={"resamples": 100, "reports": []})
    return tunewright.fit(toy_rows(90), model=str(tiny_bert), out=out, callbacks=[Listener(listen)], **changed, **RUINOUS), said


def test_no_strategy_is_a_linear_probe_then_lora(helped: Run) -> None:
    recipe, named = helped.recipe, resolve({"strategy": "lora"})
    assert recipe.strategy == "auto"
    assert (recipe.method, recipe.optimization, recipe.initialization) == (named.method, named.optimization, named.initialization)
    assert recipe.training.max_train_examples_seen == named.training.max_train_examples_seen
    manifest = helped.manifest
    assert manifest["strategy"] == "auto"
    assert manifest["chosen"].startswith("strategy: auto → linear probe, then LoRA (")
    assert manifest["chosen"] in helped.details["said"]


def test_where_fine_tuning_helps_it_is_kept(helped: Run) -> None:
    """Negative control of the probe that is kept: the same run at its own rates."""
    assert helped.manifest["verdict"] is None
    assert helped.details["steps"]["best"] > 0
    scores = {one["of"]: one["value"] for one in helped.all_scores() if one["name"] == "log_loss"}
    assert scores["fine-tuned"] < scores["frozen"]
    adapter = read_tensors(next((helped.folder / "model").rglob("adapter_model.safetensors")))
    assert any(value.any() for name, value in adapter.items() if "lora_B" in name)
    assert "did not beat" not in helped.report.read_text() + (helped.folder / "README.md").read_text()


def test_the_probe_is_saved_where_training_did_not_beat_it(ruined: tuple[Run, list[str]]) -> None:
    run, said = ruined
    verdict = run.manifest["verdict"]
    losses = [event["scores"]["loss"] for event in run.history if event["kind"] == "evaluation"]
    assert verdict.startswith(f"fine-tuning did not beat the frozen probe on validation (loss {min(losses):.4g} vs ")
    assert verdict.endswith(": the probe is what is saved")
    assert verdict in said
    assert read_json(run.folder / "scores.json")["verdict"] == verdict
    for page in ("report.html", "README.md"):
        assert verdict[1:] in (run.folder / page).read_text(encoding="utf-8")
    assert run.details["steps"]["best"] == 0
    assert run.manifest["certified"]["equal"] is True
    adapter = read_tensors(next((run.folder / "model").rglob("adapter_model.safetensors")))
    assert not any(value.any() for name, value in adapter.items() if "lora_B" in name)
    scores = {(one["of"], one["name"]): one["value"] for one in run.all_scores()}
    for (of, name), value in scores.items():
        assert of == "majority" or value == pytest.approx(scores["frozen", name], abs=1e-6)


def test_a_strategy_that_is_named_is_kept_and_its_loss_said(tiny_bert: Path, tmp_path: Path) -> None:
    run = tunewright.fit(
        toy_rows(90), model=str(tiny_bert), out=tmp_path / "run", strategy="full", **quick(training={"epochs": 1}), **RUINOUS
    )
    verdict = run.manifest["verdict"]
    assert "did not beat the frozen probe on validation (loss " in verdict
    assert verdict.endswith("the fine-tuned model is what is saved, because what trains was named")
    assert run.details["steps"]["best"] > 0
    assert verdict[1:] in run.report.read_text(encoding="utf-8")


def test_a_strategy_that_is_named_and_helps_says_nothing(tiny_bert: Path, tmp_path: Path) -> None:
    """Negative control."""
    run = tunewright.fit(toy_rows(90), model=str(tiny_bert), out=tmp_path / "run", strategy="lora", **quick())
    assert run.manifest["verdict"] is None
    assert run.manifest["chosen"] is None


def test_it_is_made_again_from_its_folder(helped: Run, tmp_path: Path) -> None:
    again = reproduce(helped.folder, out=tmp_path / "again")
    assert again.equal, again.differences
    assert tunewright.load(again.folder).manifest["chosen"] == helped.manifest["chosen"]


@pytest.mark.parametrize("how", [{}, RUINOUS], ids=["helped", "ruined"])
@pytest.mark.parametrize("at", [1, 10])
def test_an_interrupted_run_is_continued_to_the_same_model(tiny_bert: Path, tmp_path: Path, how: dict[str, Any], at: int) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if event["kind"] == "step" and event["step"] == at:
            os.kill(os.getpid(), signal.SIGTERM)

    settings = quick() | how
    settings["evaluation"] = settings["evaluation"] | {"baselines": []}
    whole = tunewright.fit(toy_rows(90), model=str(tiny_bert), out=tmp_path / "whole", **settings)
    with pytest.raises(Interrupted):
        tunewright.fit(toy_rows(90), model=str(tiny_bert), out=tmp_path / "cut", callbacks=[Listener(interrupt)], **settings)
    resumed = resume(tmp_path / "cut")
    files = [path.relative_to(whole.folder) for path in (whole.folder / "model").rglob("*.safetensors")]
    assert files
    assert all(hash_file(whole.folder / file) == hash_file(resumed.folder / file) for file in files)
    assert resumed.details["steps"]["best"] == whole.details["steps"]["best"]
    assert (resumed.details["steps"]["best"] == 0) is (how is RUINOUS)
    assert resumed.manifest["verdict"] == whole.manifest["verdict"]


def test_a_start_whose_weights_are_lost_is_no_longer_to_be_beaten(tiny_bert: Path, tmp_path: Path) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if event["kind"] == "step" and event["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    out, settings = tmp_path / "run", quick(training={"epochs": 1}) | RUINOUS
    with pytest.raises(Interrupted):
        tunewright.fit(toy_rows(60), model=str(tiny_bert), out=out, callbacks=[Listener(interrupt)], **settings)
    shutil.rmtree(out / "checkpoints" / "step-0")
    run = resume(out)
    assert run.details["steps"]["best"] > 0
    assert "the fine-tuned model is what is saved" in run.manifest["verdict"]  # still said, by the frozen baseline


def test_what_the_user_names_is_kept(tiny_bert: Path) -> None:
    named = {"optimization": {"learning_rate": 3e-4}, "training": {"epochs": 4}}
    recipe = setup_of(tiny_bert, toy_rows(), target="label", **named).recipe
    assert (recipe.method.name, recipe.optimization.learning_rate, recipe.optimization.weight_decay) == ("lora", 3e-4, 0.0)
    assert (recipe.training.epochs, recipe.training.max_train_examples_seen) == (4, None)


@pytest.mark.parametrize("named", [{"method": "full"}, {"initialization": []}, {"unfreezing": "gradual"}, {"strategy": None}])
def test_who_names_a_part_composes_by_hand(tiny_bert: Path, named: dict[str, Any]) -> None:
    wanted = resolve({"data": {"target": ["label"]}} | named)
    assert wanted.strategy is None
    recipe = set_up(
        wanted.model_copy(update={"model": resolve({"model": {"source": str(tiny_bert)}}).model}),
        prepare_rows(wanted, InMemoryData(toy_rows())),
    ).recipe
    assert (recipe.method, recipe.optimization, recipe.initialization) == (wanted.method, Recipe().optimization, ())


def test_a_language_model_has_lora_and_no_probe(tmp_path: Path) -> None:
    model = tiny_model("llama", tmp_path / "llama")
    setup = setup_of(model, [{"text": row["text"]} for row in toy_rows(30)], data={"task": "causal_lm"})
    assert setup.chosen is not None
    assert setup.chosen.startswith("strategy: auto → LoRA (the model keeps its own output layer")
    assert (setup.recipe.method.name, setup.recipe.initialization, setup.recipe.optimization.learning_rate) == ("lora", (), 2e-4)


def test_an_untouched_language_model_is_saved_where_training_ruins_it(tmp_path: Path) -> None:
    model = tiny_model("llama", tmp_path / "llama")
    rows = [{"text": row["text"]} for row in toy_rows(30)]
    training = {"max_steps": 4, "threads": 1, "precision": "float32"}
    how: dict[str, Any] = {"task": "causal_lm", "training": training, "evaluation": PLAIN["evaluation"], **RUINOUS}
    run = tunewright.fit(rows, model=str(model), out=tmp_path / "run", **how)
    assert run.details["steps"]["best"] == 0
    assert run.manifest["verdict"].endswith(": the untouched model is what is saved")
    scores = {one["of"]: one["value"] for one in run.all_scores() if one["name"] == "perplexity"}
    assert scores["fine-tuned"] == pytest.approx(scores["before"], rel=1e-6)


def test_a_table_trains_whole_from_a_probe() -> None:
    rows = [{"age": 20 + n % 31, "job": "abc"[n % 3], "label": "xy"[n % 2]} for n in range(60)]
    setup = setup_of("table-transformer", rows, target="label", data={"kind": "table", "input": ["age", "job"]})
    assert setup.chosen is not None
    assert setup.chosen.startswith("strategy: auto → linear probe, then full fine-tuning (no pre-trained model knows")
    assert setup.recipe.method.name == "full"


def test_two_towers_keep_their_own_defaults() -> None:
    rows = [{"user": f"u{user}", "item": f"i{item}"} for user in range(12) for item in range(10) if (user + item) % 2]
    recipe = make_recipe(task="recommendation", data={"input": ["user", "item"], "near_duplicates": "ignore"})
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows)))
    assert setup.recipe.method.name == "full"
    assert (setup.recipe.optimization.learning_rate, setup.recipe.training.epochs, setup.recipe.initialization) == (3e-3, 30, ())


def test_a_head_that_no_probe_can_start_trains_with_everything(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 255, (32, 32, 3), dtype=np.uint8) for _ in range(12)]
    rows = [{"image": one, "mask": (one[:, :, 0] > 100).astype(np.uint8)} for one in pictures]
    stages = {"num_encoder_blocks": 4, "depths": [1] * 4, "sr_ratios": [2, 1, 1, 1], "hidden_sizes": [8, 16, 16, 16]}
    stages |= {"patch_sizes": [3] * 4, "strides": [2] * 4, "num_attention_heads": [1, 2, 2, 2], "mlp_ratios": [2] * 4}
    model = tiny_image_model("segformer", tmp_path / "segformer", **stages)
    setup = setup_of(model, rows, data={"task": "semantic_segmentation"})
    assert setup.chosen == "strategy: auto → full fine-tuning (no probe can start the new head)"


def test_four_bits_wait_for_the_decision(tmp_path: Path) -> None:
    four: dict[str, Any] = {"model": {"source": "x", "quantize": "4bit"}, "evaluation": {"certify": False}}
    assert resolve(four).strategy == "auto"
    with pytest.raises(UserError, match="which full trains"):  # negative control
        resolve(four | {"strategy": "full"})


def test_remedies_change_what_was_decided(helped: Run) -> None:
    reports = [{"name": "forgetting", "references": ["old.csv"]}]
    every = ["lower_rates", "fewer_layers", "lora"]
    asked = resolve({"evaluation": {"max_forgetting": 0.1, "remedies": every, "reports": reports}})
    decided = as_decided(asked, helped.recipe)
    found = dict(_recipes(decided))
    assert list(found) == ["as_asked", "lower_rates"]  # LoRA it is already
    assert found["lower_rates"].optimization.learning_rate == helped.recipe.optimization.learning_rate / 4
    assert found["lower_rates"].method == helped.recipe.method


def test_the_rate_finder_sweeps_what_was_decided(tiny_bert: Path) -> None:
    rows = toy_rows(48)
    recipe = make_recipe(model=str(tiny_bert), **{key: PLAIN[key] for key in ("target", "data", "training")})
    by_hand = make_recipe(model=str(tiny_bert), strategy="lora", **{key: PLAIN[key] for key in ("target", "data", "training")})
    found, named = (find_rate(one, InMemoryData(rows), low=1e-5, high=1e-1, steps=12) for one in (recipe, by_hand))
    assert found.suggestion == named.suggestion
    assert torch.equal(torch.tensor(found.losses), torch.tensor(named.losses))
