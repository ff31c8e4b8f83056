"""tunewright study: several runs that answer one question about a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from tunewright.cli._options import (
    BatchSize,
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
)
from tunewright.cli._output import print_json, print_table, tell
from tunewright.cli._recipe import recipe_of

Name = Annotated[str, typer.Argument(metavar="NAME", help="One of `tunewright parts studies`, such as learning-curve.")]
Own = Annotated[list[str] | None, typer.Option("--study", metavar="KEY=VALUE", help="A setting of the study, such as seeds=3.")]


def run(
    name: Name,
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
    settings: Settings = None,
    study: Own = None,
    as_json: Json = False,
) -> None:
    """Ask a question that takes several runs: scratch, learning-curve, transfer."""
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
    )
    from tunewright.callbacks.progress import progress
    from tunewright.config.reader import parse_settings
    from tunewright.experiments.trials import make_study

    with progress() as watch:
        made = make_study(name, recipe, parse_settings(study or ()), callbacks=[watch])
    if as_json:
        print_json({"folder": str(made.folder), **made.report.as_dict()})
        return
    for said in made.report.said:
        tell(said)
    for grid in made.report.grids:
        print_table(grid.columns, [tuple("undefined" if cell is None else cell for cell in row) for row in grid.rows])
    tell(f"study   {made.folder}")
    tell(f"page    {made.folder / 'report.html'}")
