"""One look at every row of a file in pieces: columns, targets, content hash and what is odd; no text is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack, final

import numpy as np

from tunewright.core.errors import UserError, gathering, raise_all
from tunewright.core.files import hash_json
from tunewright.core.types import Finding, Labels
from tunewright.datasets.inputs import texts_of
from tunewright.datasets.labels import encode, label_faults, label_name, make_labels, missing_faults
from tunewright.datasets.read import read_pieces
from tunewright.datasets.schema import Named, Schema, guess_schema
from tunewright.datasets.table import Table, listed
from tunewright.datasets.targets import values as target_values

TASKS: tuple[str, ...] = ("classification", "regression", "sentence_similarity")  # those with one target for each row

_SHOWN = 20  # row numbers kept of those that are odd


@dataclass(frozen=True)
class Scanned:
    """What is known of a file's rows; ``targets`` (n,) are encoded."""

    schema: Schema
    labels: Labels
    targets: np.ndarray
    source: str
    unit: str
    findings: tuple[Finding, ...]
    data_hash: str


def scan(path: Path, size: int, **named: Unpack[Named]) -> Scanned:
    """Guess the columns from the first ``size`` rows, then read on to the end.

    The first piece that has faults is refused, with all of its faults; labels are compared once all are known.
    """
    schema: Schema | None = None
    digest = hashlib.sha256()
    noticed = _Noticed()
    for table in read_pieces(path, size):
        if schema is None:
            schema = _schema(table, named)
            digest.update(schema.task.encode())
            targets = _Numbers(schema.task) if schema.task != "classification" else _Classes(table)
        texts, values = _examined(table, schema)
        targets.add(table, values)
        noticed.add(table, texts)
        for row, value in zip(texts, values, strict=True):
            digest.update(hash_json([*row, label_name(value)]).encode())
    if schema is None:
        raise UserError(f"{path} has no rows", expected="at least one row")
    encoded, labels = targets.finish()
    findings = (*schema.findings, *noticed.findings(path, len(encoded)))
    return Scanned(schema, labels, encoded, str(path), noticed.unit, findings, digest.hexdigest())


def _schema(first: Table, named: Named) -> Schema:
    schema = guess_schema(first, **named)
    if schema.kind != "text" or schema.task not in TASKS:
        raise UserError(
            f"{first.source}: {schema.task.replace('_', '-')} of rows of {schema.kind} cannot be streamed",
            expected=f"texts for {', '.join(TASKS)}: one label or one number for each row",
            try_="--set data.streaming=false, or --task classification",
        )
    return schema


def _examined(table: Table, schema: Schema) -> tuple[list[tuple[str, ...]], list[Any]]:
    """Texts and targets of a piece, refused as those of a whole table are."""
    faults: list[UserError] = []
    texts: list[tuple[str, ...]] = []
    values: list[Any] = []
    with gathering(faults):
        texts = texts_of(table, schema)
    with gathering(faults):
        values = target_values.read(table, schema)
        find = missing_faults if schema.task == "classification" else label_faults  # labels are compared at the end
        faults += find(values, schema.task, table.where)
    raise_all(faults)
    return texts, values


@final
class _Classes:
    """The label of each row as a number, and each label once with the row that was the first to have it."""

    def __init__(self, first: Table) -> None:
        self.table = replace(first, columns={}, rows=())
        self.seen: dict[tuple[type, str], int] = {}
        self.values: list[Any] = []
        self.rows: list[int] = []
        self.codes: list[np.ndarray] = []

    def add(self, table: Table, values: Sequence[Any]) -> None:
        codes = np.empty(len(values), dtype=np.int32)
        for index, value in enumerate(values):
            key = (type(value), label_name(value))
            if key not in self.seen:
                self.seen[key] = len(self.seen)
                self.values.append(value)
                self.rows.append(table.rows[index])
            codes[index] = self.seen[key]
        self.codes.append(codes)

    def finish(self) -> tuple[np.ndarray, Labels]:
        where = replace(self.table, rows=tuple(self.rows)).where
        raise_all(label_faults(self.values, "classification", where))
        labels = make_labels(self.values, "classification")
        return encode(self.values, labels)[np.concatenate(self.codes)], labels


@final
class _Numbers:
    """The number to learn of each row."""

    def __init__(self, task: str) -> None:
        self.labels = Labels(task)
        self.numbers: list[np.ndarray] = []

    def add(self, table: Table, values: Sequence[Any]) -> None:
        self.numbers.append(encode(values, self.labels, table.where))

    def finish(self) -> tuple[np.ndarray, Labels]:
        return np.concatenate(self.numbers), self.labels


class _Noticed:
    """What the pieces reveal, told once for the whole file."""

    def __init__(self) -> None:
        self.found: dict[str, list[Finding]] = {}
        self.empty: list[int] = []
        self.empties = self.blanks = 0
        self.unit = "row"

    def add(self, table: Table, texts: Sequence[tuple[str, ...]]) -> None:
        self.unit = table.unit
        for finding in table.findings:
            self.found.setdefault(finding.code, []).append(finding)
        empty = [index for index, row in enumerate(texts) if not all(text.strip() for text in row)]
        self.empty += [table.rows[index] for index in empty[: _SHOWN - len(self.empty)]]
        self.empties += len(empty)
        self.blanks += sum(not any(text.strip() for text in texts[index]) for index in empty)

    def findings(self, path: Path, n: int) -> list[Finding]:
        """All of it; a file without any text is refused."""
        if self.blanks == n:
            raise UserError(f"{path}: the text of all {n} rows is empty", expected="rows with text", try_="--text NAME")
        told = [_together(findings) for findings in self.found.values()]
        if self.empties:
            where = f"{path}, {self.unit}s {listed(self.empty)}"
            message = f"{self.empties} of {n} rows have an empty text ({where})"
            told.append(Finding("empty_text", message, "warning", tuple(self.empty), self.empties))
        return told


def _together(findings: Sequence[Finding]) -> Finding:
    first = findings[0]
    more = f"; and so in {len(findings) - 1} later pieces" if len(findings) > 1 else ""
    return replace(first, message=first.message + more, count=sum(finding.count for finding in findings))
