"""What can be known of a run before it trains: what would be refused, what it would take, and a rate to start from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.analysis.reporting import chosen
from tunewright.artifacts.run_folder import check_free
from tunewright.config.recipe import Recipe
from tunewright.core.files import read_object
from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import Finding, Labels
from tunewright.datasets.prepare import DatasetSplits
from tunewright.modalities.processor_files import PREPROCESSOR
from tunewright.modalities.table.columns import Columns
from tunewright.models import table, table_loading
from tunewright.models.config import read_config
from tunewright.models.form import Form
from tunewright.models.from_scratch import models_in
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.sources import find_model
from tunewright.pipeline.plan_html import checked_html, plan_html
from tunewright.pipeline.results import layer_table
from tunewright.pipeline.steps import (
    PARTS,
    InMemoryData,
    apply_method,
    initialize,
    make_job,
    prepare_rows,
    said_of_model,
    set_up,
    sourced,
    train_features,
)
from tunewright.training.estimate import Estimate, estimate
from tunewright.training.evaluate import decode_all
from tunewright.training.lr_finder import Found, restored
from tunewright.training.lr_finder import find_rate as sweep
from tunewright.training.optimizer import build_optimizer
from tunewright.training.stages import open_layers
from tunewright.training.step import optimizer_step

_HELD = 128  # rows that the rate finder scores after each step (a guess)
_SMOOTHING = 0.5  # of their loss: less than of batches' losses, which differ by their rows (a guess)


@dataclass(frozen=True)
class Checked:
    """What is known before a model is loaded: guesses said aloud, findings, rows per split."""

    recipe: Recipe
    prepared: DatasetSplits

    def _repr_html_(self) -> str:
        return checked_html(self)

    def as_dict(self) -> dict[str, Any]:
        return {
            "rows": {part: len(rows) for part in PARTS if (rows := getattr(self.prepared, part)) is not None},
            "labels": self.prepared.labels.as_dict(),
            "schema": self.prepared.schema.as_dict(),
            "said": list(self.prepared.said),
            "findings": [finding.as_dict() for finding in self.prepared.findings],
        }


def model_to_look_at(source: str) -> Network:
    """The model named ``source`` in the form of the first task that its class is for, classification before all others."""
    import transformers

    folder, labels = find_model(source), Labels("classification", ("a", "b"))
    if read_object(folder / "config.json").get("model_type") == table.MODEL_TYPE:
        columns = Columns.from_dict(read_object(folder / PREPROCESSOR))
        return table_loading.reload(folder, columns, labels, form=Form("table", "TableTransformer"), base=(source, ""))
    kind_of_config = type(read_config(folder))
    heads = sorted(list_parts("tasks"), key=lambda part: part.name != "classification")
    for head in (load_part("tasks", part.name) for part in heads):
        for kind, auto in head.READS.items():
            if kind_of_config in getattr(getattr(transformers, auto, None), "_model_mapping", ()):
                return load_network(source, labels, form=Form(kind, auto, head.OUTPUT))
    return load_network(source, labels)


def check(recipe: Recipe, given: InMemoryData | None = None) -> Checked:
    """Refuse everything that can be refused before a model is loaded; returns what was understood."""
    if recipe.out is not None:
        check_free(Path(recipe.out).expanduser())
    prepared = prepare_rows(recipe, given or InMemoryData())
    chosen(recipe.evaluation.reports, prepared.labels.task, prepared.schema.kind)
    model = sourced(recipe, prepared.schema).model
    for source in models_in(prepared.schema.kind, model.source):
        find_model(source, model.revision)
    return Checked(recipe, prepared)


@dataclass(frozen=True)
class Plan:
    """A dry run: the resolved recipe, what would train, and what it would take."""

    recipe: Recipe
    layers: list[dict[str, Any]]
    estimate: Estimate
    said: tuple[str, ...]
    findings: tuple[Finding, ...]

    def _repr_html_(self) -> str:
        return plan_html(self)

    def as_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "layers": self.layers,
            "estimate": asdict(self.estimate),
            "said": list(self.said),
            "findings": [finding.as_dict() for finding in self.findings],
        }


def plan(recipe: Recipe, given: InMemoryData | None = None) -> Plan:
    """Everything before the first step, and an estimate measured on one batch; nothing is written."""
    prepared = prepare_rows(recipe, given or InMemoryData())
    setup = set_up(recipe, prepared)
    applied = apply_method(setup)
    job = make_job(setup, applied)
    return Plan(
        setup.recipe,
        layer_table(job),
        estimate(job),
        (*setup.prepared.said, *said_of_model(setup)),
        tuple(setup.prepared.findings),
    )


def find_rate(
    recipe: Recipe, given: InMemoryData | None = None, *, low: float = 1e-6, high: float = 1.0, steps: int = 60
) -> Found:
    """Sweep the rate over one pass of small steps and suggest optimization.learning_rate; everything is put back afterwards.

    After each step the same held-back rows are scored: batches differ by more than one step changes, and a head that starts as
    a probe has little left to learn on the rows it was fitted to. The head's rate keeps its ratio to the backbone's.
    Source: Smith 2017, section 3.3, but for the held-back rows.
    """
    setup = set_up(recipe, prepare_rows(recipe, given or InMemoryData()))
    applied = apply_method(setup)
    initialize(setup, applied, train_features(setup))
    job = make_job(setup, applied)
    job.forward.cut_at(open_layers(setup.network, applied.trainable, 0))
    optimizer = build_optimizer(job, 0)
    windows = [window for epoch in range(1 + steps // job.steps_per_epoch) for window in job.windows(epoch)]
    reference = setup.recipe.optimization.learning_rate or setup.recipe.optimization.head_learning_rate
    held = job.validation.subset(np.unique(np.linspace(0, len(job.validation) - 1, _HELD).astype(int)))

    def step(rate: float) -> float:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] / reference * rate
        seen = optimizer_step(job, optimizer, windows.pop(0), ()).loss
        scored = decode_all(job.head, setup.network.labels, held, job.forward.evaluated(held), (job.head_settings, job.weights))[
            1
        ]
        return seen if scored is None else scored

    with restored(setup.network, optimizer):
        found: Found = sweep(step, low=low, high=high, steps=min(steps, len(windows)), smoothing=_SMOOTHING)
    return found
