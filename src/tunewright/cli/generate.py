"""tunewright generate: answers of a tuned language model, and how many of them are right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._output import print_json, print_table
from tunewright.core.errors import UserError

if TYPE_CHECKING:
    from tunewright.core.types import Score
    from tunewright.runs.run import Run


def run(
    folder: RunFolder,
    rows: Annotated[str | None, typer.Argument(help="A table with the run's prompt columns.")] = None,
    prompt: Annotated[list[str] | None, typer.Option("--prompt", help="A prompt; may be repeated.")] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", help="Tokens of an answer at most.")] = 128,
    temperature: Annotated[
        float, typer.Option("--temperature", help="0 takes the likeliest token; above it tokens are drawn.")
    ] = 0.0,
    top_p: Annotated[float, typer.Option("--top-p", help="Drawn among the likeliest tokens of this share.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws.")] = 0,
    check: Annotated[
        str | None, typer.Option("--check", help="number, words or json: the share of answers that pass, before and after.")
    ] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="A JSON schema, for --check json.")] = None,
    as_json: Json = False,
) -> None:
    """Write answers to prompts, or check those to a table's rows."""
    if (rows is None) == (not prompt):
        raise UserError(
            "generate takes its prompts from one place" if prompt else "there is no prompt",
            expected="a file, or --prompt",
            try_='tunewright generate RUN --prompt "Once upon a time"',
        )
    if rows is not None and not Path(rows).is_file():
        raise UserError(f"{rows} is not a file", expected="a table of prompts", try_=f'--prompt "{rows}"')
    from tunewright.runs.run import load

    settings = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
    tuned = load(folder)
    if check is not None:
        _check(tuned, rows or prompt, check, schema, settings, as_json=as_json)
        return
    answers = tuned.generate(rows or prompt, **settings)
    if as_json:
        print_json({"run": folder, "answers": answers})
    else:
        print_table(("row", "prompt", "answer"), [tuple(answer.values()) for answer in answers])


def _check(run: Run, data: Any, check: str, schema: Path | None, settings: dict[str, Any], *, as_json: bool) -> None:
    from tunewright.core.files import read_json

    found: dict[str, Score] = run.check_answers(data, check, schema=None if schema is None else read_json(schema), **settings)
    if as_json:
        print_json({"run": run.folder, "checks": {name: score.as_dict() for name, score in found.items()}})
    else:
        columns = ("", "check", "share", "low", "high", "answers")
        print_table(columns, [(name, one.name, one.value, one.low, one.high, one.n) for name, one in found.items()])
