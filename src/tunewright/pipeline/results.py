"""What a run writes down: manifest, data, scores, details and predictions, as the report and the card read them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunewright.analysis.tables import confusion, per_class, worst_errors
from tunewright.artifacts.manifest import code_hash, now, versions
from tunewright.callbacks.history import read_history
from tunewright.core.device import describe_hardware, peak_memory
from tunewright.core.files import read_json, write_json, write_text
from tunewright.core.types import Predictions, Score
from tunewright.datasets.inputs import shown_input
from tunewright.evaluation.compare import compare
from tunewright.evaluation.intervals import score
from tunewright.evaluation.overfitting import findings as training_findings
from tunewright.evaluation.trees import boosted
from tunewright.pipeline.predicted_rows import predictions_csv
from tunewright.pipeline.steps import PARTS, PreparedRun, baselines_of
from tunewright.tasks import metrics_of, primary_of
from tunewright.tasks.shared.group_thresholds import said_of
from tunewright.training.context import TrainingContext, TrainingResult
from tunewright.training.estimate import Estimate
from tunewright.training.parameter_groups import param_groups
from tunewright.training.stages import moving_names

_ERRORS = 200  # rows that the page lets one look through (a guess)


def open_manifest(folder: Path, setup: PreparedRun, *, parent: str | None, command: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Write data.json and the manifest of a run that starts now; ``asked`` is its recipe before anything was resolved."""
    network, prepared = setup.network, setup.prepared
    manifest = {
        "status": "running",
        "created": now(),
        "strategy": setup.recipe.strategy or setup.recipe.method.name,
        "chosen": setup.chosen,
        "command": command,
        "seed": setup.recipe.seed,
        "parent": parent,
        "data_hash": prepared.data_hash,
        "base": {"source": network.base, "hash": network.base_hash, "pooling": network.pooling},
        "code_hash": code_hash(),
        "versions": {"tunewright": _own_version(), **versions()},
        "hardware": describe_hardware(network.device),
        "arithmetic": asdict(setup.arithmetic),
        "asked": asked,
    }
    data = {
        "rows": rows_per_split(setup),
        "labels": prepared.labels.as_dict(),
        "schema": prepared.schema.as_dict(),
        "truncated": {part: examples.encoded.truncated for part, examples in setup.examples.items()}
        | {"max_length": setup.recipe.data.max_length},
        "findings": [finding.as_dict() for finding in prepared.findings],
    }
    write_json(folder / "data.json", data)
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_json(folder / "manifest.json", manifest)


def rows_per_split(setup: PreparedRun) -> dict[str, int]:
    return {part: len(getattr(setup.prepared, part)) for part in PARTS if part in setup.examples}


def write_results(
    folder: Path,
    setup: PreparedRun,
    job: TrainingContext,
    trained: TrainingResult,
    everyone: dict[str, Predictions],
    expected: Estimate,
    said: list[str],
    verdict: str | None = None,
) -> dict[str, Any]:
    """Score the test rows, compare with the baselines, and write everything measured; returns the scores file's content.

    ``everyone``: what 'fine-tuned' and the baselines that need a network predicted; the others are added. ``verdict``: that
    training did not beat its start, in words.
    """
    labels, tuned = setup.prepared.labels, everyone["fine-tuned"]
    everyone = dict(everyone)
    if "majority" in baselines_of(setup):
        everyone["majority"] = setup.head.majority(setup.prepared.train.targets, setup.prepared.test.targets, labels)
    if "trees" in baselines_of(setup):
        rows: dict[str, Any] = {part: setup.examples[part].encoded for part in ("train", "test")}
        wanted = setup.prepared.train.targets
        everyone["trees"] = boosted(rows["train"], wanted, rows["test"], labels, setup.recipe.seed)
    inputs, train, free = setup.prepared.test.inputs, setup.prepared.train, ("popular", "copy", "lead")
    everyone |= {name: setup.head.from_inputs(name, inputs, train) for name in free if name in baselines_of(setup)}
    scores = {
        "primary": primary_of(setup.head, setup.prepared.labels),
        "scores": [
            {"of": name, **one.as_dict()} for name, predictions in everyone.items() for one in score_all(setup, predictions)
        ],
        "comparisons": [_comparison(setup, tuned, name, other) for name, other in everyone.items() if name != "fine-tuned"],
    }
    if verdict is not None:
        scores["verdict"] = verdict
    if labels.groups is not None:
        scores["decided_by"] = said_of(labels.groups, labels.names)
    write_json(folder / "scores.json", scores)
    write_text(folder / "predictions.csv", predictions_csv(setup, tuned))
    write_json(folder / "details.json", _details(folder, setup, job, trained, tuned, expected, said))
    return scores


def test_scores(folder: Path) -> dict[str, float]:
    """The fine-tuned model's scores on the test rows; none where the run did not get that far."""
    if not (folder / "scores.json").is_file():
        return {}
    found = read_json(folder / "scores.json")["scores"]
    return {one["name"]: one["value"] for one in found if one["of"] == "fine-tuned" and one["value"] is not None}


def score_all(setup: PreparedRun, predictions: Predictions) -> list[Score]:
    """Every metric of the head on the test rows, and the one that was watched, with intervals."""
    evaluation, targets = setup.recipe.evaluation, setup.prepared.test.targets
    names = metrics_of(setup.head, setup.prepared.labels)
    if evaluation.monitor not in (None, "loss") and not hasattr(setup.head, "WATCHED"):
        names = tuple(dict.fromkeys((*names, evaluation.monitor)))
    return [
        score(
            name,
            targets,
            predictions,
            setup.prepared.labels,
            split="test",
            confidence=evaluation.confidence,
            resamples=evaluation.resamples,
            seed=setup.recipe.seed,
        )
        for name in names
    ]


def layer_table(job: TrainingContext) -> list[dict[str, Any]]:
    """The stack as rows: parameters of each layer, how many move once all is open, and their highest rate."""
    network, optimization = job.network, job.recipe.optimization
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    moving = set(moving_names(network, job.applied.trainable, 0))
    groups = param_groups(
        network,
        job.applied,
        backbone=optimization.learning_rate,
        head=optimization.head_learning_rate,
        layer_decay=optimization.layer_decay,
        learning_rates_by_depth=optimization.learning_rates_by_depth,
        weight_decay=optimization.weight_decay,
    )
    depth_of = {name: network.stack.depth_of(name) for name in sizes}
    return [
        {
            "name": group.name,
            "depth": group.depth,
            "parameters": sum(size for name, size in sizes.items() if depth_of[name] == group.depth),
            "trainable": sum(size for name, size in sizes.items() if depth_of[name] == group.depth and name in moving),
            "rate": max((entry["base_lr"] for entry in groups if entry["depth"] == group.depth), default=0.0),
        }
        for group in network.stack.groups
    ]


def _details(
    folder: Path,
    setup: PreparedRun,
    job: TrainingContext,
    trained: TrainingResult,
    tuned: Predictions,
    expected: Estimate,
    said: list[str],
) -> dict[str, Any]:
    history = read_history(folder / "history.jsonl")
    rows, labels = setup.prepared.test, setup.prepared.labels
    return {
        "per_class": per_class(rows.targets, tuned, labels),
        "confusion": confusion(rows.targets, tuned, labels),
        "errors": worst_errors(
            rows.targets,
            tuned,
            labels,
            numbers=rows.numbers,
            inputs=_shown_inputs(setup),
            shown=setup.head.shown,
            badness=getattr(setup.head, "badness", None),
            most=_ERRORS,
        ),
        "layers": layer_table(job),
        "time": {"estimated_seconds": expected.seconds, "training_seconds": trained.seconds},
        "memory": {"estimated_bytes": expected.bytes, "peak_bytes": peak_memory(setup.network.device)},
        "work": _work(setup, job),
        "averaging": list(trained.averaged),
        "steps": {"made": trained.steps, "best": trained.best_step, "reason": trained.reason},
        "findings": [asdict(finding) for finding in training_findings(history)],
        "said": [*setup.prepared.said, *([] if setup.chosen is None else [setup.chosen]), *said],
    }


def _work(setup: PreparedRun, job: TrainingContext) -> list[str]:
    """What the engine computed with and what it did not compute again, in words."""
    arithmetic, forward = setup.arithmetic, job.forward
    threads = "1 thread" if arithmetic.threads == 1 else f"{arithmetic.threads} threads"
    said = [f"Computed in {arithmetic.precision} with {threads}: {arithmetic.why}."]
    if forward.replays:
        said.append(
            f"{forward.replays:,} times a row started above the frozen layers, {forward.passes:,} times it went the whole way."
        )
    if job.passes.most_rows is not None:
        said.append(f"Memory ran out: batches were computed {job.passes.most_rows} rows at a time, with the same gradient.")
    return said


def _comparison(setup: PreparedRun, tuned: Predictions, name: str, other: Predictions) -> dict[str, Any]:
    evaluation = setup.recipe.evaluation
    compared = compare(
        primary_of(setup.head, setup.prepared.labels),
        setup.prepared.test.targets,
        tuned,
        other,
        setup.prepared.labels,
        confidence=evaluation.confidence,
        resamples=evaluation.resamples,
        seed=setup.recipe.seed,
    )
    return {"a": "fine-tuned", "b": name, **compared}


def _shown_inputs(setup: PreparedRun) -> list[str]:
    kind = setup.prepared.schema.kind
    return [shown_input(row, kind) for row in setup.prepared.test.inputs]


def _own_version() -> str:
    from tunewright import __version__

    return __version__
