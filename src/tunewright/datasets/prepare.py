"""From sources to checked, split and encoded rows; every fault that can be found is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Unpack

import numpy as np

from tunewright.core.errors import UserError, gathering, raise_all
from tunewright.core.files import hash_json
from tunewright.core.types import Finding, Labels
from tunewright.datasets.columns import find, folded
from tunewright.datasets.inputs import compared_input, inputs_of, is_compared_by_digest
from tunewright.datasets.labels import is_empty, label_name
from tunewright.datasets.quality.checks import check, group_leakage, not_all_compared, refuse
from tunewright.datasets.quality.duplicates import Near, near, same_groups
from tunewright.datasets.quality.look import look_at_columns, look_at_texts
from tunewright.datasets.read import read_splits, read_table, the_train_split
from tunewright.datasets.rows import Rows, StreamedRows
from tunewright.datasets.schema import Named, Schema, guess_schema
from tunewright.datasets.splits import Split, first_rows, join_groups, split
from tunewright.datasets.table import Table
from tunewright.datasets.targets import form_of
from tunewright.datasets.times import as_times

_TABLES = ("table", "mixed")  # kinds whose columns mean something each
_SPLIT_NAMES = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


@dataclass(frozen=True)
class DatasetSplits:
    """What training starts from; all three parts have rows."""

    train: Rows | StreamedRows
    validation: Rows
    test: Rows
    labels: Labels
    schema: Schema
    findings: tuple[Finding, ...]
    said: tuple[str, ...]
    data_hash: str
    tables: Mapping[str, Table] = field(default_factory=dict)  # of each source as it was read, by the part it is the source of


@dataclass(frozen=True)
class _Given:
    """One source as read: its table, its texts, and the targets as the table has them."""

    table: Table
    inputs: list[tuple[Any, ...]]
    values: list[Any]
    kind: str
    findings: tuple[Finding, ...] = ()

    def rows(self, labels: Labels) -> Rows:
        targets = form_of(labels.task).encode(self.values, labels, self.table.where)
        numbers = np.array(self.table.rows, dtype=np.int64)
        return Rows(self.inputs, targets, numbers, self.table.source, self.table.unit, self.kind, self.texts)

    def notes(self, task: str) -> list[Finding]:
        """What reading the targets mended."""
        form = form_of(task)
        found: list[Finding] = form.notes(self.values, self.table.where) if hasattr(form, "notes") else []
        return found

    def looked_at(self, schema: Schema) -> list[Finding]:
        """What its rows reveal one by one, whatever part they end in."""
        if schema.kind in _TABLES:
            return look_at_columns(self.table, schema.text)
        if is_compared_by_digest(schema.kind):
            return []
        return look_at_texts(self.texts, np.array(self.table.rows), self.table.where)

    @cached_property
    def texts(self) -> list[tuple[str, ...]]:
        """What rows are known by."""
        return self.inputs if self.kind == "text" else [compared_input(row, self.kind) for row in self.inputs]


def no_training_rows() -> UserError:
    return UserError(
        "no training rows were given",
        expected="a file, a folder, a hub id, or rows from Python",
        try_="tunewright fit rows.csv",
    )


def read_parts(sources: Mapping[str, Any]) -> dict[str, Table]:
    """The table of each part; splits that the train source itself has fill the parts that were not named."""
    if sources["train"] is None:
        raise no_training_rows()
    faults: list[UserError] = []
    tables: dict[str, Table] = {}
    own: dict[str, Table] = {}
    with gathering(faults):
        own = read_splits(sources["train"])
        tables["train"] = the_train_split(own, "the training data")
    for part, names in _SPLIT_NAMES.items():
        if sources[part] is not None:
            with gathering(faults):
                tables[part] = read_table(sources[part], *names)
        elif found := [own[name] for name in names if name in own and "train" in own]:
            tables[part] = found[0]
    raise_all(faults)
    return tables


def _examine(tables: dict[str, Table], schema: Schema) -> dict[str, _Given]:
    """Texts and targets of every part, with all their faults told together."""
    faults: list[UserError] = []
    given = {}
    form = form_of(schema.task)
    for part, table in tables.items():
        noticed: list[Finding] = []
        with gathering(faults):
            inputs = inputs_of(table, schema, noticed)
        with gathering(faults):
            values = form.read(table, schema)
            faults += form.faults(values, schema.task, table.where)
        if not faults:
            given[part] = _Given(table, inputs, values, schema.kind, tuple(noticed))
    raise_all(faults)
    return given


def label_rows(table: Table, schema: Schema, labels: Labels) -> Rows:
    """Labelled rows that come after training, to be scored: read and refused as those of ``prepare`` are."""
    return _examine({"given": table}, schema)["given"].rows(labels)


def _encode(given: Mapping[str, _Given], labels: Labels) -> dict[str, Rows]:
    faults: list[UserError] = []
    parts = {}
    for part, source in given.items():
        with gathering(faults):
            parts[part] = source.rows(labels)
    if "train" in parts:
        faults += refuse(parts["train"], labels, holds_out=len(given) < 3)
    raise_all(faults)
    return parts


def _group_names(table: Table, name: str) -> list[str]:
    cells = table.column(find(table, name, "group")[0])
    empty = [index for index, cell in enumerate(cells) if is_empty(cell)]
    if empty:
        raise UserError(f"{table.where(empty)}: no value in the group column '{name}'", expected="a group for every row")
    return [label_name(cell) for cell in cells]


def _given_group_leakage(given: Mapping[str, _Given], encoded: Mapping[str, Rows], schema: Schema) -> list[Finding]:
    """Groups on both sides of parts that were given; a part without the column cannot be looked at."""
    if schema.group is None:
        return []
    groups = {
        part: _group_names(source.table, schema.group)
        for part, source in given.items()
        if part == "train" or folded(schema.group) in map(folded, source.table.columns)
    }
    return group_leakage(groups, encoded)


def _split(table: Table, rows: Rows, schema: Schema, near: np.ndarray | None, shares: Mapping[str, float], seed: int) -> Split:
    groups = times = None
    if schema.group is not None:
        groups = same_groups(_group_names(table, schema.group))
    if schema.time is not None:
        times = as_times(table.column(schema.time), schema.time, table.where)
    together = join_groups(groups, near)
    return split(
        rows.targets, validation_size=shares["validation"], test_size=shares["test"], groups=together, times=times, seed=seed
    )


def _hash(given: Mapping[str, _Given], schema: Schema) -> str:
    """SHA-256 of what is learnt from: the texts, targets, groups and times of every source, in their order."""
    content = {}
    for part, source in given.items():
        values = [list(map(label_name, value)) if isinstance(value, tuple) else label_name(value) for value in source.values]
        side = [
            [str(cell) for cell in source.table.columns[find(source.table, name, "group")[0]]]
            for name in (schema.group, schema.time)
            if name is not None and part == "train"
        ]
        content[part] = {"texts": source.texts, "targets": values, "side": side}
    return hash_json({"task": schema.task, "parts": content})


def _parts(
    given: Mapping[str, _Given], encoded: dict[str, Rows], schema: Schema, near: Mapping[str, np.ndarray], how: Mapping[str, Any]
) -> tuple[dict[str, Rows], dict[str, np.ndarray]]:
    """Hold out of train what was not given; the near-duplicate ids follow their rows."""
    shares = {part: 0.0 if part in encoded else how[part] for part in ("validation", "test")}
    if not any(shares.values()):
        return encoded, dict(near)
    kept = near["train"] if how["near_duplicates"] == "together" else None
    chosen = _split(given["train"].table, encoded["train"], schema, kept, shares, how["seed"])
    parts, ids = {"train": encoded["train"].select(chosen.train)}, {"train": near["train"][chosen.train]}
    for part, indices in (("validation", chosen.validation), ("test", chosen.test)):
        parts[part] = encoded["train"].select(indices) if shares[part] else encoded[part]
        ids[part] = near["train"][indices] if shares[part] else near[part]
    return parts, ids


def _near(encoded: Mapping[str, Rows]) -> tuple[dict[str, np.ndarray], list[Finding]]:
    """Each part's near-duplicate group ids, and what is to be said of how they were found."""
    texts = [texts for rows in encoded.values() for texts in rows.texts]
    by_digest = is_compared_by_digest(encoded["train"].kind)
    found = Near(same_groups(texts), np.zeros(len(texts), dtype=bool)) if by_digest else near(texts)
    ends = np.cumsum([len(rows) for rows in encoded.values()])[:-1]
    return dict(zip(encoded, np.split(found.groups, ends), strict=True)), not_all_compared(found.unsure)


def _unlabeled(tables: dict[str, Table], schema: Schema, named: set[str]) -> list[str]:
    """Parts of a data set that come without their targets (a competition's test split)."""
    empty = []
    for part in set(tables) - named - {"train"} if schema.target else ():
        columns = [tables[part].columns.get(name, []) for name in schema.target]
        if all(is_empty(value) for values in columns for value in values):
            empty.append(part)
    return sorted(empty)


def prepare(
    *,
    train: Any,
    validation: Any = None,
    test: Any = None,
    validation_size: float = 0.15,
    test_size: float = 0.15,
    near_duplicates: Literal["together", "ignore"] = "together",
    max_train_samples: int | None = None,
    seed: int = 0,
    **named: Unpack[Named],
) -> DatasetSplits:
    """Read, guess, check, split and encode.

    Each source is a path, a hub id, or Python data. ``named``: text, target, task, group, time, as ``guess_schema`` takes them.
    Parts that are not given are held out of train by their shares; all faults are raised together.
    """
    sources = {"train": train, "validation": validation, "test": test}
    tables = read_parts(sources)
    schema = guess_schema(tables["train"], **named)
    said = list(schema.said)
    unused = _unlabeled(tables, schema, {name for name, source in sources.items() if source is not None})
    said += [f"The split '{part}' of {tables.pop(part).source} has no targets and is not used." for part in unused]
    given = _examine(tables, schema)
    form = form_of(schema.task)
    labels = form.labels(given["train"].values, schema.task, schema.target)
    said += form.told(labels) if hasattr(form, "told") else []
    encoded = _encode(given, labels)
    alike, said_of_alike = _near(encoded)
    how = {"validation": validation_size, "test": test_size, "near_duplicates": near_duplicates, "seed": seed}
    parts, ids = _parts(given, encoded, schema, alike, how)
    if max_train_samples is not None and max_train_samples < len(parts["train"]):
        chosen = first_rows(parts["train"].targets, max_train_samples, seed)
        parts["train"], ids["train"] = parts["train"].select(chosen), ids["train"][chosen]
    labels = _measured(labels, parts["train"])
    said.append(f"Rows: {', '.join(f'{len(rows)} {part}' for part, rows in parts.items())}.")
    findings = [finding for table in tables.values() for finding in table.findings]
    findings += [finding for source in given.values() for finding in source.findings]
    findings += [note for source in given.values() for note in (*source.notes(schema.task), *source.looked_at(schema))]
    findings += [*schema.findings, *_given_group_leakage(given, encoded, schema), *said_of_alike, *check(parts, labels, ids)]
    return DatasetSplits(
        parts["train"],
        parts["validation"],
        parts["test"],
        labels,
        schema,
        tuple(findings),
        tuple(said),
        _hash(given, schema),
        tables,
    )


def _measured(labels: Labels, train: Rows) -> Labels:
    """Mean and spread of numbers are those of the rows that are trained on, not of the rows held out."""
    form = form_of(labels.task)
    if hasattr(form, "measured"):
        taken: Labels = form.measured(labels, train.targets)
        return taken
    return (
        labels
        if train.targets.dtype == object or labels.names
        else form_of(labels.task).labels(train.targets.tolist(), labels.task, ())
    )
