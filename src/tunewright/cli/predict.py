"""tunewright predict: answers for rows of a file, of standard input, or given as words."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._output import print_json, print_table, say
from tunewright.core.csv_text import csv_text
from tunewright.core.errors import UserError
from tunewright.core.outputs import output_file, write_output


def run(
    folder: RunFolder,
    rows: Annotated[str | None, typer.Argument(help="A table, or - for standard input with one text per line.")] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text to predict; may be repeated.")] = None,
    sets: Annotated[
        float | None, typer.Option("--sets", help="Also the set or interval that holds the truth so often, as 0.9.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write row, predicted and probability to this CSV file.")] = None,
    as_json: Json = False,
) -> None:
    """Predict rows of a table, of standard input, or --text."""
    if out is not None:
        output_file(out)
    data = _given(rows, text)
    if out is not None and rows is not None and out.exists() and Path(rows).exists() and out.samefile(rows):
        raise UserError(f"--out {out} would overwrite the rows to predict", expected="another file")
    from tunewright.runs.run import load

    answers = load(folder).predict(data, sets=sets)
    if out is not None:
        _write_csv(out, answers)
        say(f"{len(answers)} predictions written to {out}")
    if as_json:
        print_json({"run": folder, "predictions": answers})
    elif out is None:
        print_table(_columns(answers), [_shown(answer) for answer in answers])


def _given(rows: str | None, text: list[str] | None) -> str | list[str]:
    """The one place that rows come from."""
    if (rows is None) == (not text):
        raise UserError(
            "predict takes its rows from one place" if text else "there is nothing to predict",
            expected="a file, - for standard input, or --text",
            try_='tunewright predict RUN --text "where is my card"',
        )
    if rows != "-":
        return text or str(rows)
    try:
        lines = [line.rstrip("\r\n") for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig")]
    except UnicodeDecodeError as error:
        raise UserError(f"standard input is not UTF-8: {error.reason} at byte {error.start}", expected="UTF-8 text") from None
    if not lines:
        raise UserError("standard input is empty", expected="one text per line")
    return lines


def _columns(answers: list[dict[str, Any]]) -> tuple[str, ...]:
    """What each answer is shown with: a set or an interval only where one was asked for."""
    return ("row", "predicted", "probability", *(name for name in ("set", "interval") if answers and name in answers[0]))


def _shown(answer: dict[str, Any]) -> tuple[object, ...]:
    cells: list[object] = [answer["row"], _in_one_cell(answer["predicted"]), answer["probability"]]
    if "set" in answer:
        cells.append("|".join(answer["set"]))
    if "interval" in answer:
        cells.append(" to ".join(f"{end:.6g}" for end in answer["interval"]))
    return tuple(cells)


def _in_one_cell(predicted: Any) -> Any:
    """Names with | between; what is made of numbers (a vector, boxes) as JSON."""
    if not isinstance(predicted, list):
        return predicted
    return "|".join(predicted) if all(isinstance(one, str) for one in predicted) else json.dumps(predicted, ensure_ascii=False)


def _write_csv(path: Path, answers: list[dict[str, Any]]) -> None:
    lines = [["" if value is None else value for value in _shown(answer)] for answer in answers]
    write_output(path, csv_text([_columns(answers), *lines]).encode("utf-8"))
