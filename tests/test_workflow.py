"""Whole runs, from rows to report: what is written, what is certified, what repeats, and that every setting does something."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import tunewright
from tests.engine.toy import toy_rows
from tests.listener import Listener
from tunewright.config.recipe import Recipe, Section
from tunewright.core.errors import UserError
from tunewright.core.files import hash_file, read_json, read_tensors
from tunewright.datasets import streaming
from tunewright.pipeline.planning import check, find_rate, plan
from tunewright.pipeline.steps import InMemoryData
from tunewright.pipeline.workflow import make_recipe, reproduce, resume
from tunewright.training.interrupts import Interrupted

QUICK: dict[str, Any] = {
    "method": "full",  # what trains is named: what auto decides is not asked here (tests/selection/test_automatic.py)
    "data": {"near_duplicates": "ignore"},
    "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2},
    "training": {"epochs": 2, "batch_size": 8},
    "evaluation": {"resamples": 100},
}


def stored_rows(run: tunewright.Run) -> list[dict[str, str]]:
    with (run.folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tiny_bert: Path, rows_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tunewright.Run:
    out = tmp_path_factory.mktemp("runs") / "finished"
    return tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=out, **QUICK)


def test_what_was_computed_with_is_resolved_and_said(finished: tunewright.Run) -> None:
    arithmetic, training = finished.manifest["arithmetic"], finished.recipe.training
    assert (training.precision, training.threads) == (arithmetic["precision"], arithmetic["threads"])
    assert training.precision == "float32"
    assert arithmetic["why"] in finished.details["work"][0]


def test_a_run_folder_is_complete(finished: tunewright.Run) -> None:
    names = {path.name for path in finished.folder.iterdir()}
    wanted = {"recipe.yaml", "manifest.json", "data.json", "history.jsonl", "checkpoints", "model"}
    wanted |= {"scores.json", "details.json", "predictions.csv", "report.html", "README.md"}
    assert wanted <= names
    assert finished.manifest["status"] == "done"
    assert finished.manifest["certified"]["equal"] is True
    assert {entry["of"] for entry in finished.all_scores()} == {"fine-tuned", "frozen", "majority"}
    assert not [path for path in finished.folder.rglob("*") if ".tmp" in path.name]


def test_predict_evaluate_and_the_stored_predictions_agree(finished: tunewright.Run, rows_file: Path, tmp_path: Path) -> None:
    stored = stored_rows(finished)
    path = tmp_path / "test.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows({"text": row["text"], "label": row["target"]} for row in stored)
    reopened = tunewright.load(finished.folder)
    predicted = reopened.predict(path)
    assert [row["predicted"] for row in predicted] == [row["predicted"] for row in stored]
    assert [row["predicted"] for row in reopened.predict([row["text"] for row in stored])] == [row["predicted"] for row in stored]
    accuracy = sum(row["predicted"] == row["target"] for row in stored) / len(stored)
    again = {score.name: score.value for score in reopened.evaluate(path)}
    assert again["accuracy"] == pytest.approx(accuracy)
    assert again["accuracy"] == pytest.approx(next(score.value for score in finished.scores if score.name == "accuracy"))


def test_the_saved_model_opens_with_transformers(finished: tunewright.Run) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = str(finished.folder / "model")
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = [row["text"] for row in toy_rows(9)]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        names = [model.config.id2label[index] for index in model(**inputs).logits.argmax(1).tolist()]
    assert names == [row["predicted"] for row in finished.predict(texts)]


def test_the_saved_model_scores_what_the_best_evaluation_scored(tiny_bert: Path, tmp_path: Path) -> None:
    validation = toy_rows(24, seed=5)
    out, rows = tmp_path / "run", toy_rows(40)
    run = tunewright.fit(rows, model=str(tiny_bert), target="label", text="text", validation=validation, out=out, **QUICK)
    best = max(event["scores"]["accuracy"] for event in run.history if event["kind"] == "evaluation")
    again = next(score.value for score in tunewright.load(out).evaluate(validation) if score.name == "accuracy")
    assert again == best


def test_ignored_columns_are_listed(finished: tunewright.Run, tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{**row, "shelf": str(number)} for number, row in enumerate(toy_rows(30))]
    recipe = make_recipe(model=str(tiny_bert), target="label", text="text")
    schema = check(recipe, InMemoryData(rows)).as_dict()["schema"]
    assert "shelf" in schema["ignored"]
    assert any("shelf" in sentence for sentence in schema["said"])


def test_reproduce_gives_the_same_weights(finished: tunewright.Run, tmp_path: Path) -> None:
    again = reproduce(finished.folder, out=tmp_path / "again")
    assert again.equal, again.differences
    assert tunewright.load(again.folder).manifest["parent"] == str(finished.folder)


def test_reproduce_says_what_differs(finished: tunewright.Run, tiny_bert: Path, rows_file: Path, tmp_path: Path) -> None:
    """Negative control: another seed gives other weights and the comparison says so."""
    from tunewright.runs.reproduction import compare_weights

    other = tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=tmp_path / "other", seed=1, **QUICK)
    compared = compare_weights(finished, other)
    assert not compared.equal
    assert any("the seed changed" in said for said in compared.differences)


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_an_interrupted_run_is_resumed_to_the_same_model(
    finished: tunewright.Run, tiny_bert: Path, rows_file: Path, tmp_path: Path, strategy: str
) -> None:
    settings = {**QUICK, "method": strategy, "evaluation": {"certify": False, "resamples": 100}}
    whole = tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=tmp_path / "whole", **settings)

    def interrupt(event: dict[str, Any]) -> None:
        if event["kind"] == "step" and event["step"] == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "cut"
    with pytest.raises(Interrupted):
        tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=out, callbacks=[Listener(interrupt)], **settings)
    assert read_json(out / "manifest.json")["status"] == "interrupted"
    with pytest.raises(
        UserError, match=r"something else: optimization\.head_learning_rate: 0\.01 then, 0\.02 now.*tunewright resume"
    ):
        other = {**settings, "optimization": {"learning_rate": 1e-3, "head_learning_rate": 0.02}}
        tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=out, **other)
    if strategy == "full":
        resumed = tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=out, **settings)
    else:
        resumed = resume(out)
    assert resumed.finished
    files = [path.relative_to(whole.folder) for path in (whole.folder / "model").rglob("*.safetensors")]
    assert files
    assert all(hash_file(whole.folder / file) == hash_file(out / file) for file in files)
    steps = [event["step"] for event in resumed.history if event["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))  # one line per step


def test_the_hash_seed_of_python_does_not_matter(tiny_bert: Path, rows_file: Path, tmp_path: Path) -> None:
    code = (
        "import sys, tunewright; tunewright.fit(sys.argv[1], model=sys.argv[2], target='label', method='full', out=sys.argv[3], "
        "training={'epochs': 1}, evaluation={'certify': False, 'baselines': (), 'resamples': 100})"
    )
    hashes = []
    for hash_seed in ("1", "2"):
        out = tmp_path / hash_seed
        command = [sys.executable, "-c", code, str(rows_file), str(tiny_bert), str(out)]
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": hash_seed}, check=True, capture_output=True)
        hashes.append((hash_file(out / "model" / "model.safetensors"), read_json(out / "data.json")["labels"]))
    assert hashes[0] == hashes[1]


def test_a_refused_run_writes_nothing(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="label"):
        tunewright.fit([{"text": "a", "topic": "b"}], model=str(tiny_bert), target="label", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_streamed_run_is_the_run(tiny_bert: Path, rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, losses and weights are those of the run in memory, and it can be made again."""
    monkeypatch.setattr(streaming, "PIECE", 7)
    settings = QUICK | {"training": {**QUICK["training"], "cache": False}, "evaluation": {"certify": False, "resamples": 100}}
    plain, streamed = (
        tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=tmp_path / str(streams), **settings | {"data": data})
        for streams in (False, True)
        for data in [{"near_duplicates": "ignore", "streaming": streams}]
    )
    losses = [[event["loss"] for event in run.history if event["kind"] == "step"] for run in (plain, streamed)]
    assert losses[0] == losses[1]
    assert stored_rows(plain) == stored_rows(streamed)
    first, second = (hash_file(run.folder / "model" / "model.safetensors") for run in (plain, streamed))
    assert first == second
    again = reproduce(streamed.folder, out=tmp_path / "again")
    assert again.equal, again.differences


def test_check_reads_no_model_and_plan_writes_nothing(tiny_bert: Path, rows_file: Path, tmp_path: Path) -> None:
    recipe = make_recipe(rows_file, model=str(tiny_bert), out=tmp_path / "run", **QUICK)
    checked = check(recipe).as_dict()
    assert sum(checked["rows"].values()) == 60
    planned = plan(recipe).as_dict()
    json.dumps(planned)
    assert sum(layer["trainable"] for layer in planned["layers"]) == sum(layer["parameters"] for layer in planned["layers"])
    assert planned["estimate"]["seconds"] > 0
    assert not (tmp_path / "run").exists()


def test_the_rate_finder_suggests_within_its_range(tiny_bert: Path, rows_file: Path) -> None:
    found = find_rate(make_recipe(rows_file, model=str(tiny_bert), **QUICK), low=1e-5, high=1e-1, steps=20)
    assert 1e-5 <= found.suggestion <= 1e-1


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        ("regression", [{"text": row["text"], "score": len(row["text"]) / 7} for row in toy_rows(40)]),
        (
            "multi_label",
            [{"text": row["text"], "score": sorted({row["label"], "ab"[n % 2]})} for n, row in enumerate(toy_rows(40))],
        ),
        (
            "sentence_similarity",
            [{"first": row["text"], "second": row["text"][::-1], "score": n % 6 + 0.5} for n, row in enumerate(toy_rows(40))],
        ),
    ],
)
def test_every_task_runs_saves_and_predicts(tiny_bert: Path, tmp_path: Path, task: str, rows: list[dict[str, Any]]) -> None:
    text = [column for column in rows[0] if column != "score"]
    run = tunewright.fit(rows, model=str(tiny_bert), target="score", text=text, task=task, out=tmp_path / "run", **QUICK)
    assert run.manifest["certified"]["equal"] is True
    stored = stored_rows(run)
    again = run.predict([{column: row[column] for column in text} for row in stored])
    shown = ["|".join(row["predicted"]) if task == "multi_label" else row["predicted"] for row in again]
    if task == "multi_label":
        assert shown == [row["predicted"] for row in stored]
    else:
        assert shown == pytest.approx([float(row["predicted"]) for row in stored], rel=1e-4)


# One change per key that must be seen in the run; keys that cannot act on this toy say why.
EFFECTS: dict[str, Any] = {
    "seed": 1,
    "data.text": ("other",),
    "data.task": "regression",
    "data.group": "group",
    "data.time": "time",
    "data.validation_size": 0.3,
    "data.test_size": 0.3,
    "data.max_train_samples": 10,
    "data.near_duplicates": "together",
    "data.max_length": 5,
    "model.pooling": "cls",
    "model.dropout": 0.5,
    "head": {"name": "classification", "label_smoothing": 0.3},
    "method": "bias_only",
    "optimization.learning_rate": 1e-4,
    "optimization.head_learning_rate": 1e-3,
    "optimization.layer_decay": 0.5,
    "optimization.learning_rates_by_depth": (1e-3, 1e-3, 1e-3, 1e-3, 1e-4),
    "optimization.weight_decay": 0.5,
    "optimization.optimizer": "sgd",
    "optimization.schedule": "constant",
    "initialization": ("linear_probe",),
    "unfreezing": "gradual",
    "regularizers": ({"name": "l2_sp", "alpha": 10.0},),
    "averaging": ("ema",),
    "training.epochs": 3,
    "training.max_steps": 2,
    "training.budget_seconds": 1e-6,
    "training.batch_size": 4,
    "training.gradient_accumulation_steps": 2,
    "training.max_grad_norm": 1e-3,
    "training.evaluations_per_epoch": 2,
    "training.precision": "bfloat16",
    "training.max_tokens_per_microbatch": 16,
    "training.checkpoints": False,
    "training.checkpoint_steps": 1,
    "evaluation.baselines": (),
    "evaluation.confidence": 0.8,
    "evaluation.resamples": 200,
    "evaluation.certify": True,
}
ELSEWHERE = {
    "data.audio_augmentation.frequency_masks": "tests/data/test_audio.py",
    "data.audio_augmentation.frequency_width": "tests/data/test_audio.py",
    "data.audio_augmentation.time_masks": "tests/data/test_audio.py",
    "data.audio_augmentation.time_width": "tests/data/test_audio.py",
    "data.audio_augmentation.time_share": "tests/data/test_audio.py",
    "data.audio_augmentation.shift": "tests/data/test_audio.py",
    "data.audio_augmentation.noise": "tests/data/test_audio.py",
    "data.max_seconds": "tests/heads/test_audio_classification.py",
    "training.packing": "tests/heads/test_packed.py",
    "training.max_train_examples_seen": "tests/engine/test_loop.py",
    "model.quantize": "tests/models/test_quantized.py",
    "version": "only version 1 exists",
    "strategy": "tests/strategies",
    "out": "every run here",
    "data.train": "every run here",
    "data.validation": "tests/data",
    "data.test": "tests/data",
    "data.target": "every run here",
    "data.counterfactual_augmentation": "tests/evaluation/test_counterfactual.py",
    "data.replay": "tests/data/test_replay.py",
    "data.replay_share": "tests/data/test_replay.py",
    "data.group_reweighting": "tests/data/test_reweighing.py",
    "data.streaming": "test_a_streamed_run_is_the_run",
    "callbacks": "tests/callbacks",
    "data.separator": "tests/data/test_separators.py",
    "data.input": "tests/heads/test_tagging.py",
    "data.kind": "tests/heads/test_tagging.py",
    "data.image_size": "tests/models/test_image_size.py",
    "data.frames": "tests/data/test_video.py",
    **{
        f"data.augmentation.{name}": "tests/data/test_augment.py, tests/test_image_runs.py"
        for name in (
            *("horizontal_flip", "crop_scale", "crop_ratio", "brightness", "contrast", "saturation"),
            *("policy_changes", "policy_strength", "erase"),
        )
    },
    "data.mixing.mixup": "tests/test_image_runs.py",
    "data.mixing.cutmix": "tests/test_image_runs.py",
    "model.source": "every run here",
    "model.revision": "hub only",
    "model.freeze_batch_norm": "tests/models/test_image_families.py",
    "model.blocks": "tests/engine/test_distillation.py",
    "distillation": "tests/engine/test_distillation.py",
    "evaluation.reports": "tests/evaluation/test_reports.py",
    "evaluation.max_forgetting": "tests/runs/test_forgetting_budget.py",
    "evaluation.remedies": "tests/runs/test_forgetting_budget.py",
    "evaluation.monitor": "tests/engine: the best evaluation is what the network holds",
    "training.early_stopping_patience": "test_patience_stops_a_run",
    "training.device": "test_an_absent_device_is_refused",
    "training.shard": "tests/engine/test_sharding.py",
    "training.threads": "test_threads_are_set",
    "training.cache": "tests/engine/test_forward.py",
    "training.cache_memory_gib": "tests/engine/test_forward.py",
    "training.cache_disk_gib": "tests/engine/test_forward.py",
}


def keys_of(section: type[Section], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, field in section.model_fields.items():
        nested = field.annotation if isinstance(field.annotation, type) and issubclass(field.annotation, Section) else None
        is_section = nested is not None and nested.__name__ != "Choice"
        found += keys_of(nested, f"{prefix}{name}.") if is_section and nested is not None else [prefix + name]
    return found


def test_every_key_of_the_recipe_is_covered() -> None:
    assert sorted((*EFFECTS, *ELSEWHERE)) == sorted(keys_of(Recipe))


def effect_rows() -> list[dict[str, str]]:
    rows = []
    for number, row in enumerate(toy_rows(36)):
        extra = {"other": row["text"][::-1], "group": str(number // 4), "time": f"2024-01-{number % 27 + 1:02d}"}
        label = str(["money", "mood", "post"].index(row["label"]))
        rows.append({**row, "label": label, **extra})
    return [*rows, *({**row, "text": row["text"] + " the"} for row in rows[:6])]


def signature(tiny_bert: Path, out: Path, key: str | None, value: Any) -> dict[str, Any]:
    sections: dict[str, Any] = {
        "data": {"near_duplicates": "ignore", "text": ("text",), "target": ("label",), "task": "classification"},
        "model": {"source": str(tiny_bert)},
        "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2},
        "training": {"epochs": 2, "batch_size": 8},
        "evaluation": {"certify": False, "baselines": ("majority",), "resamples": 100, "reports": ()},
    }
    if key is not None:
        section, _, name = key.partition(".")
        if name:
            sections[section] = sections.get(section, {}) | {name: value}
        else:
            sections[section] = value
    if key not in ("strategy", "method"):  # a run of strategy auto may keep its probe, whatever a key changes
        sections["method"] = "full"
    run = tunewright.fit(effect_rows(), out=out, **sections)
    timed = ("seconds", "created", "finished", "command")
    history = [{name: item for name, item in event.items() if name not in timed} for event in run.history]
    return {
        "weights": {path.name: hash_file(path) for path in sorted((run.folder / "model").glob("*.safetensors"))},
        "history": history,
        "scores": read_json(run.folder / "scores.json"),
        "files": sorted(path.name for path in [*run.folder.iterdir(), *(run.folder / "checkpoints").glob("*")]),
        "certified": run.manifest["certified"],
        "rows": read_json(run.folder / "data.json")["rows"],
    }


@pytest.fixture(scope="module")
def plain_signature(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("effects")
    first, second = (signature(tiny_bert, out / name, None, None) for name in ("first", "second"))
    assert first == second  # negative control: without a change there is no difference
    return first


@pytest.mark.parametrize("key", EFFECTS)
def test_every_key_has_an_effect(tiny_bert: Path, tmp_path: Path, plain_signature: dict[str, Any], key: str) -> None:
    assert signature(tiny_bert, tmp_path / "run", key, EFFECTS[key]) != plain_signature


def test_patience_stops_a_run(tiny_bert: Path, rows_file: Path, tmp_path: Path) -> None:
    settings = {
        **QUICK,
        "training": {"epochs": 30, "batch_size": 16, "early_stopping_patience": 2},
        "evaluation": {"certify": False, "baselines": ()},
    }
    run = tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=tmp_path / "run", **settings)
    assert "no better validation score for 2" in run.details["steps"]["reason"]


def test_an_absent_device_is_refused(tiny_bert: Path, rows_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="device"):
        tunewright.fit(rows_file, model=str(tiny_bert), target="label", out=tmp_path / "run", training={"device": "cuda:77"})
    assert not (tmp_path / "run").exists()


def test_threads_are_set(tiny_bert: Path, rows_file: Path) -> None:
    before = torch.get_num_threads()
    try:
        plan(make_recipe(rows_file, model=str(tiny_bert), training={"threads": 2, "epochs": 1}))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_run_of_rows_from_python_is_continued_wherever_it_was_moved(tiny_bert: Path, tmp_path: Path) -> None:
    def stop(event: dict[str, Any]) -> None:
        if event["kind"] == "evaluation":
            raise KeyboardInterrupt

    how: dict[str, Any] = {
        "model": str(tiny_bert),
        "target": "label",
        "method": "full",
        "training": {"epochs": 3, "checkpoint_steps": 1},
    }
    how["evaluation"] = {"certify": False, "resamples": 100, "baselines": (), "reports": ()}
    with pytest.raises(KeyboardInterrupt):
        tunewright.fit(toy_rows(36), out=tmp_path / "run", callbacks=[Listener(stop)], **how)
    (tmp_path / "run").rename(tmp_path / "moved")
    tunewright.resume(tmp_path / "moved")
    whole = tunewright.fit(toy_rows(36), out=tmp_path / "whole", **how)
    first, second = (read_tensors(folder / "model" / "model.safetensors") for folder in (tmp_path / "moved", whole.folder))
    assert all(torch.equal(first[name], second[name]) for name in first)
