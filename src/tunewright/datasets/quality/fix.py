"""Rows mended where that is safe, written beside their source, and every change told with its rows."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError, raise_all, unknown
from tunewright.core.files import json_text
from tunewright.core.outputs import output_file, write_output
from tunewright.datasets.columns import find
from tunewright.datasets.inputs import compared_input, inputs_of, shown_input
from tunewright.datasets.labels import label_name
from tunewright.datasets.prepare import read_parts
from tunewright.datasets.quality.fixes import ASKED, OF_TABLES, SAFE, SAFE_OF_TABLES, Change, Conflicts, Work, mend
from tunewright.datasets.quality.rewrite import refuse_format, write_rows
from tunewright.datasets.schema import Schema, guess_schema
from tunewright.datasets.table import Table
from tunewright.datasets.targets import form_of

NOISE = "label_noise.csv"  # what the report of that name leaves in a run's folder


@dataclass(frozen=True)
class Fixed:
    """What was mended: rows before and after, each change with the rows of the source, and where the result is."""

    source: str
    out: str
    trace: str
    rows_before: int
    rows_after: int
    changes: tuple[Change, ...]
    said: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        counts = {"rows_before": self.rows_before, "rows_after": self.rows_after}
        files = {"source": self.source, "out": self.out, "trace": self.trace}
        return files | counts | {"changes": [one.as_dict() for one in self.changes], "said": list(self.said)}


def fix(
    data: Any,
    out: str | Path,
    *,
    validation: Any = None,
    test: Any = None,
    text: Sequence[str] | str | None = None,
    target: Sequence[str] | str | None = None,
    task: str | None = None,
    kind: str | None = None,
    separator: str | None = None,
    also: Sequence[str] = (),
    skip: Sequence[str] = (),
    conflicts: Conflicts = "drop",
    drop_noise: str | Path | None = None,
) -> Fixed:
    """Mend training rows and write them to ``out`` (csv, tsv or jsonl, .gz or not); the source stays as it is.

    Made without asking, but for those in ``skip``: empty texts, spellings of one label, contradicting labels, exact duplicates,
    rows that validation or test hold. Made where ``also`` names them: near_duplicates, text (wrong encoding, web pages), personal
    (masked). ``conflicts``: 'vote' keeps the rows that the majority of equal texts speaks for. ``drop_noise``: a run whose report
    label_noise lists rows to leave out. Beside ``out`` a file that ends in .changes.json lists each change with its rows.
    Of tables only label_variants is made without asking; conflicts, exact_duplicates and leakage (equal cells) where ``also``
    names them. When: rows of texts, tables. When not: other kinds of rows, or files larger than memory.
    """
    path = Path(out).expanduser()
    chosen = _chosen(also, skip)  # a name that is not known is told before anything is read
    sources = {"train": data, "validation": validation, "test": test}
    trace = path.with_name(f"{path.name.split('.')[0]}.changes.json")
    _refuse(sources, path, trace, conflicts)
    tables = read_parts(sources)
    schema = guess_schema(tables["train"], text=text, target=target, task=task, kind=kind, separator=separator)
    if schema.kind not in ("text", "table"):
        raise UserError(
            f"rows of {schema.kind} are not mended",
            expected="rows of texts, or a table",
            try_="--text NAME if a column holds texts",
        )
    if schema.kind == "table":
        chosen = _of_tables(also, skip)
    work = _work(tables, schema, conflicts)
    before = list(work.texts), list(work.targets)
    if drop_noise is not None:
        shown = [shown_input(row, schema.kind) for row in inputs_of(tables["train"], schema)]
        _drop_noise(work, Path(drop_noise), tables["train"], shown)
    mend(work, chosen)
    kept = work.left()
    if not kept:
        raise UserError(
            f"{tables['train'].source}: no row is left after fixing", try_="--skip conflicts, or look at the findings first"
        )
    write_rows(tables["train"], data, path, kept, _changed(tables["train"], schema, work, *before))
    done = Fixed(
        tables["train"].source, str(path), str(trace), len(work.texts), len(kept), tuple(work.changes), _gone(work, before[1])
    )
    write_output(trace, json_text(done.as_dict()).encode("utf-8"))
    return done


def _chosen(also: Sequence[str], skip: Sequence[str]) -> list[str]:
    """Names of the fixes to make; unknown ones are told together."""
    faults = [unknown("fix", name, ASKED, try_=f"--also {next(iter(ASKED))}") for name in also if name not in ASKED | SAFE]
    faults += [unknown("fix", name, SAFE, try_=f"--skip {next(iter(SAFE))}") for name in skip if name not in SAFE]
    raise_all(list(faults))
    return [name for name in (*SAFE, *ASKED) if name not in skip and (name in SAFE or name in also)]


def _of_tables(also: Sequence[str], skip: Sequence[str]) -> list[str]:
    """Names of the fixes to make of a table; those that are about texts are refused."""
    raise_all([unknown("fix of tables", name, OF_TABLES) for name in (*also, *skip) if name not in OF_TABLES])
    return [name for name in OF_TABLES if name not in skip and (name in SAFE_OF_TABLES or name in also)]


def _refuse(sources: dict[str, Any], out: Path, trace: Path, conflicts: str) -> None:
    """Never over a source, only in a form that is known, and only where a file may be written."""
    refuse_format(out)
    if conflicts not in ("drop", "vote"):
        raise unknown("way with conflicts", conflicts, ("drop", "vote"))
    for source in sources.values():
        given = Path(source) if isinstance(source, (str, Path)) else None
        for file in (out, trace):
            if given is not None and given.exists() and file.exists() and file.samefile(given):
                raise UserError(
                    f"{file} would overwrite the rows that are read", expected="another file", try_="--fix mended.csv"
                )
    for file in (out, trace):
        output_file(file)


def _work(tables: dict[str, Table], schema: Schema, conflicts: Conflicts) -> Work:
    faults: list[UserError] = []
    train = tables["train"]
    form = form_of(schema.task)
    targets = form.read(train, schema)
    faults += form.faults(targets, schema.task, train.where)
    raise_all(faults)
    texts = {part: _compared(table, schema) for part, table in tables.items()}
    by_digest = schema.kind == "table"
    return Work(texts.pop("train"), list(targets), train.rows, schema.task, texts, conflicts, by_digest)


def _compared(table: Table, schema: Schema) -> list[tuple[str, ...]]:
    """The texts of rows, or what stands for their cells."""
    rows = inputs_of(table, schema)
    return rows if schema.kind == "text" else [compared_input(row, schema.kind) for row in rows]


def _drop_noise(work: Work, run: Path, table: Table, shown: Sequence[str]) -> None:
    """Leave out the rows that a report found; they must be the rows of this source."""
    path = run / NOISE if run.is_dir() else run
    if not path.is_file():
        raise UserError(
            f"{path} does not exist", expected="a run with the report label_noise", try_=f"tunewright report {run} label_noise"
        )
    with path.open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    place = {number: index for index, number in enumerate(table.rows)}
    found = []
    for one in listed:
        index = place.get(int(one["row"]), -1)
        if index < 0 or label_name(work.targets[index]) != one["label"] or shown[index] != one["text"]:
            raise UserError(
                f"{path} lists row {one['row']} with other content than {table.source} has there",
                expected="the file that the run was trained on",
                try_=f"tunewright report {run} label_noise",
            )
        found.append(index)
    work.drop("label_noise", found, "whose label is probably wrong left out")


def _changed(
    table: Table, schema: Schema, work: Work, texts: list[tuple[str, ...]], targets: list[Any]
) -> dict[int, dict[str, Any]]:
    """Of each kept row the cells that are new, by the table's own names."""
    names = [] if work.by_digest else [find(table, name, "text")[0] for name in schema.text]
    found: dict[int, dict[str, Any]] = {}
    for index in work.left():
        rewritten = () if work.by_digest else zip(names, texts[index], work.texts[index], strict=True)
        cells: dict[str, Any] = {name: new for name, old, new in rewritten if new != old}
        if work.targets[index] != targets[index]:
            cells[find(table, schema.target[0], "target")[0]] = work.targets[index]
        if cells:
            found[index] = cells
    return found


def _gone(work: Work, targets: list[Any]) -> tuple[str, ...]:
    """Classes that no row is left of."""
    if work.task != "classification":
        return ()
    left = {label_name(work.targets[index]).strip().casefold() for index in work.left()}
    gone = sorted({label_name(one) for one in targets if label_name(one).strip().casefold() not in left})
    return (f"No row is left of the labels {', '.join(gone)}.",) if gone else ()
