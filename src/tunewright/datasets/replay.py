"""Rows of an earlier task mixed into the training rows, so that it is not forgotten.

Source: rehearsal: Robins 1995, Catastrophic Forgetting, Rehearsal and Pseudorehearsal; shares: Ibrahim et al. 2024, Simple and
Scalable Strategies to Continually Pre-train Large Language Models.
When: a classifier is tuned again on rows from elsewhere with the same classes; a language model is tuned on new texts and is to
keep old ones. When not: the earlier task has other classes or another form, which one head cannot learn beside the new.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.files import hash_json
from tunewright.datasets.prepare import DatasetSplits, label_rows
from tunewright.datasets.read import read_table
from tunewright.datasets.rows import Rows
from tunewright.datasets.schema import Schema, guess_schema, is_untargeted
from tunewright.datasets.table import Table

TASKS: tuple[str, ...] = ("classification", "ordinal", "multi_label")


def with_replay(
    prepared: DatasetSplits, files: Sequence[str], share: float, held: Set[tuple[Any, ...]], seed: int
) -> DatasetSplits:
    """The training rows and, of each file, rows drawn with the seed, ``share`` times as many as training rows in all.

    Rows that the run has already, in whatever part, and those in ``held`` are left out. Replayed rows have numbers below 0.
    """
    train, task = prepared.train, prepared.labels.task
    if not isinstance(train, Rows) or train.kind != "text" or not (task in TASKS or is_untargeted(task)):
        what = f"{task.replace('_', ' ')} of {train.kind}" if isinstance(train, Rows) else "rows that are streamed"
        raise UserError(
            f"data.replay mixes in rows of the same form, and cannot for {what}",
            expected="texts with a class, labels or grade, or texts alone",
        )
    known = {*held, *(row for part in (train, prepared.validation, prepared.test) for row in part.texts)}
    parts, said = [train], []
    for at, file in enumerate(files):
        rows = _read(file, prepared)
        free = np.array([place for place, row in enumerate(rows.texts) if row not in known], dtype=np.int64)
        if not len(free):
            raise UserError(
                f"{file} has no rows to replay: each of its {len(rows)} measures forgetting or is in the run already",
                expected="more rows than are measured",
                try_="fewer rows of the report forgetting",
            )
        most = max(1, round(share * len(train) / len(files)))
        chosen = np.sort(np.random.default_rng([seed, at]).permutation(free)[:most])
        parts.append(replace(rows.select(chosen), numbers=-1 - rows.numbers[chosen]))
        said.append(f"{len(chosen)} of {len(rows)} rows of {file} are replayed beside {len(train)} training rows.")
    more = Rows(
        [row for part in parts for row in part.inputs],
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.numbers for part in parts]),
        train.source,
        train.unit,
    )
    replayed = [[list(part.inputs), [str(target) for target in part.targets]] for part in parts[1:]]
    content = hash_json({"rows": prepared.data_hash, "replayed": replayed})
    return replace(prepared, train=more, said=(*prepared.said, *said), data_hash=content)


def _read(file: str, prepared: DatasetSplits) -> Rows:
    """A file's rows, by the run's columns where it has them; what does not fit the run's task is refused."""
    table, schema = read_table(file, "train", "test"), prepared.schema
    if not {*schema.text, *schema.target} <= set(table.columns):
        table, schema = _other_columns(table, schema)
    try:
        return label_rows(table, schema, prepared.labels)
    except UserError as error:
        raise UserError(f"{file} cannot be replayed: {error}") from None


def _other_columns(table: Table, schema: Schema) -> tuple[Table, Schema]:
    """Texts alone are called as the run's are; of labeled rows the columns are guessed."""
    if is_untargeted(schema.task) and len(table.columns) == 1:
        return replace(table, columns={schema.text[0]: next(iter(table.columns.values()))}), schema
    separator = schema.separator if schema.task == "multi_label" else None
    return table, guess_schema(table, task=schema.task, kind=schema.kind, separator=separator)
