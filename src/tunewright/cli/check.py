"""tunewright check: refuse everything that can be refused before a model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from tunewright.core.errors import UserError
from tunewright.datasets.table import listed

Fix = Annotated[Path | None, typer.Option("--fix", metavar="OUT", help="Write the training rows, mended where that is safe.")]
Also = Annotated[
    list[str] | None, typer.Option("--also", metavar="FIX", help="With --fix, more: near_duplicates, text, personal (masked).")
]
Skip = Annotated[
    list[str] | None,
    typer.Option(
        "--skip", metavar="FIX", help="With --fix, not: empty_text, label_variants, conflicts, exact_duplicates, leakage."
    ),
]
Conflicts = Annotated[str, typer.Option("--conflicts", help="With --fix, equal texts with different labels: drop, or vote.")]
DropNoise = Annotated[
    Path | None, typer.Option("--drop-noise", metavar="RUN", help="With --fix, leave out what its report label_noise lists.")
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
    settings: Settings = None,
    fix: Fix = None,
    also: Also = None,
    skip: Skip = None,
    conflicts: Conflicts = "drop",
    drop_noise: DropNoise = None,
    as_json: Json = False,
) -> None:
    """Check rows, columns and recipe without loading a model; --fix writes the training rows mended."""
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
    if fix is not None:
        _fix(
            recipe.data, fix, {"also": also or (), "skip": skip or (), "conflicts": conflicts, "drop_noise": drop_noise}, as_json
        )
        return
    if also or skip or drop_noise:
        raise UserError("--also, --skip and --drop-noise say what --fix does", expected="--fix OUT", try_="--fix mended.csv")
    from tunewright.pipeline.planning import check

    found = check(recipe).as_dict()
    if as_json:
        print_json(found)
        return
    print_table(("part", "rows"), list(found["rows"].items()))
    for said in found["said"]:
        tell(said)
    for finding in found["findings"]:
        tell(f"{finding['level']}: {finding['message']}")
    tell("Nothing to refuse.")


def _fix(data: Any, out: Path, how: dict[str, Any], as_json: bool) -> None:
    from tunewright.datasets.quality.fix import fix

    named = {"text": data.text or data.input, **{key: getattr(data, key) for key in ("target", "task", "kind", "separator")}}
    done = fix(data.train, out, validation=data.validation, test=data.test, **named, **how)
    if as_json:
        print_json(done.as_dict())
        return
    if done.changes:
        print_table(("fix", "rows", "where"), [(one.fix, one.count, listed(one.rows)) for one in done.changes])
    for said in (*(one.said for one in done.changes), *done.said):
        tell(said)
    tell(f"{done.rows_after:,} of {done.rows_before:,} rows written to {done.out}; every change with its rows: {done.trace}")
