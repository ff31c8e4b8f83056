"""tunewright check: refuse everything that can be refused before a model is loaded."""

from __future__ import annotations

from tunewright.cli._options import Json, Model, Out, Seed, Settings, Source, Strategy, Target, TaskName, Test, Text, Validation
from tunewright.cli._output import print_json, print_table, tell
from tunewright.cli._recipe import recipe_of


def run(
    source: Source,
    model: Model = None,
    target: Target = None,
    text: Text = None,
    task: TaskName = None,
    strategy: Strategy = None,
    validation: Validation = None,
    test: Test = None,
    seed: Seed = None,
    out: Out = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Check rows, columns and recipe without loading a model."""
    recipe = recipe_of(
        source,
        settings,
        model=model,
        target=target,
        text=text,
        task=task,
        strategy=strategy,
        validation=validation,
        test=test,
        seed=seed,
        out=out,
    )
    from tunewright.workflow import check

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
