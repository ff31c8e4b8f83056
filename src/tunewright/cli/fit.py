"""tunewright fit: adapt a pre-trained model to a table of texts, or run a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunewright.cli._options import (
    OUTPUT,
    BatchSize,
    Budget,
    Device,
    Epochs,
    Json,
    LearningRate,
    Model,
    Out,
    Seed,
    Separator,
    Settings,
    Source,
    Strategy,
    Target,
    TaskName,
    Test,
    Text,
    Validation,
    parse_duration,
)
from tunewright.cli._output import cell, print_json, print_table, say, tell
from tunewright.cli._recipe import recipe_of
from tunewright.cli._results import show_run, telling_how_to_resume
from tunewright.core.distributed import leads
from tunewright.core.text import count, duration

if TYPE_CHECKING:
    from tunewright.config.recipe import Recipe
    from tunewright.pipeline.planning import Plan

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show recipe, layers, time and memory; train nothing.", rich_help_panel=OUTPUT),
]


def run(
    source: Source,
    target: Target = None,
    text: Text = None,
    task: TaskName = None,
    separator: Separator = None,
    validation: Validation = None,
    test: Test = None,
    model: Model = None,
    strategy: Strategy = None,
    epochs: Epochs = None,
    lr: LearningRate = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    device: Device = None,
    out: Out = None,
    budget: Budget = None,
    log: Annotated[str | None, typer.Option("--log", help="Trackers, such as tensorboard,mlflow: `parts callbacks`.")] = None,
    settings: Settings = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Adapt a model to a table of texts, or run a recipe."""
    recipe = recipe_of(
        source,
        settings,
        model=model,
        target=target,
        text=text,
        task=task,
        separator=separator,
        strategy=strategy,
        validation=validation,
        test=test,
        epochs=epochs,
        lr=lr,
        batch_size=batch_size,
        seed=seed,
        device=device,
        out=out,
        budget=parse_duration(budget),
        log=None if log is None else [name.strip() for name in log.split(",") if name.strip()],
    )
    if dry_run:
        _show_plan(recipe, as_json=as_json)
    else:
        _fit(recipe, as_json=as_json)


def _fit(recipe: Recipe, *, as_json: bool) -> None:
    from tunewright.callbacks.progress import progress
    from tunewright.pipeline.workflow import fit_recipe

    with telling_how_to_resume(recipe.out), progress() as watch:
        finished = fit_recipe(recipe, callbacks=[watch])
    if leads():
        show_run(finished, as_json=as_json)


def _show_plan(recipe: Recipe, *, as_json: bool) -> None:
    from tunewright.config.reader import to_yaml
    from tunewright.pipeline.planning import plan

    planned = plan(recipe)
    for said in (*planned.said, *(finding.message for finding in planned.findings)):
        say(said)
    if as_json:
        print_json(planned.as_dict())
        return
    for line in to_yaml(planned.recipe).splitlines():
        tell(line)
    tell("")
    _show_layers(planned)


def _show_layers(planned: Plan) -> None:
    columns = ("depth", "name", "parameters", "trainable", "rate")
    print_table(columns, [[layer[key] for key in columns] for layer in planned.layers])
    trainable, total = (sum(layer[key] for layer in planned.layers) for key in ("trainable", "parameters"))
    tell(f"{count(trainable)} of {count(total)} parameters train")
    tell(f"about {duration(planned.estimate.seconds)} and {cell(planned.estimate.bytes / 2**30)} GiB; nothing was written")
