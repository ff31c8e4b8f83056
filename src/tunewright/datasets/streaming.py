"""Rows of a file larger than memory: read in pieces, split by row, the training rows' texts left where they are.

Targets, and the texts of the rows held out, are kept in memory; the training rows' texts are read again when they are
encoded. What needs all texts at once is not done, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from tunewright.core.errors import UserError, gathering, raise_all
from tunewright.core.files import hash_json
from tunewright.core.rounding import given_spread_or_one
from tunewright.core.types import Finding, Labels
from tunewright.datasets.inputs import texts_of
from tunewright.datasets.prepare import DatasetSplits, label_rows, no_training_rows
from tunewright.datasets.quality.checks import check_targets, check_texts, refuse_targets
from tunewright.datasets.quality.duplicates import normalize, same_groups
from tunewright.datasets.quality.look import look_at_texts
from tunewright.datasets.read import read_pieces, read_table
from tunewright.datasets.rows import Rows, StreamedRows
from tunewright.datasets.schema import Named, Schema
from tunewright.datasets.splits import split
from tunewright.datasets.streaming_scan import TASKS, Scanned, scan

PIECE = 4000  # rows in memory at once (a guess)
MOST_HELD_OUT = 10_000  # rows of validation, and of test, taken out of train: their texts are held in memory (a guess)

_UNCHECKED = (
    "repeated texts, conflicting targets and leakage from train are not looked for in streamed rows, and near-duplicates are "
    "neither looked for nor kept together (data.near_duplicates); personal data, languages and damage are looked for in the rows "
    "held out alone"
)


def prepare_streamed(
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
    """What ``prepare`` does, for a training file that is read in pieces; validation and test files are read whole.

    Up to ``MOST_HELD_OUT`` rows a part, the split is that of ``prepare`` where near-duplicates are ignored.
    When: the file does not fit into memory several times over. When not: otherwise; duplicates are not looked for here.
    ``near_duplicates`` has no effect.
    """
    if max_train_samples is not None:
        raise UserError("data.max_train_samples does not go with data.streaming", try_="--set data.streaming=false")
    path = _the_file(train, named)
    stamp = _stamp(path)
    scanned = scan(path, PIECE, **named)
    given, faults = _given({"validation": validation, "test": test}, scanned)
    shares = {"validation": validation_size, "test": test_size}
    wanted = {part: 0.0 if part in given else share for part, share in shares.items()}
    faults += refuse_targets(scanned.targets, scanned.labels, str(path), holds_out=any(wanted.values()))
    raise_all(faults)
    chosen = split(scanned.targets, validation_size=wanted["validation"], test_size=wanted["test"], most=MOST_HELD_OUT, seed=seed)
    rows = partial(_chosen_rows, path, stamp, scanned.schema)
    streamed = StreamedRows(lambda: (texts for texts, _ in rows(chosen.train)), scanned.targets[chosen.train], str(path))
    held_out = given | _held_out(rows, scanned, {part: getattr(chosen, part) for part in shares if part not in given})
    parts: dict[str, Rows | StreamedRows] = {"train": streamed, **{part: held_out[part] for part in shares}}
    labels = _measured(scanned.labels, streamed.targets)
    unchecked = Finding("not_checked", f"train: {_UNCHECKED}", "note", count=len(streamed))
    looked = [found for held in held_out.values() for found in look_at_texts(held.texts, held.numbers, held.where)]
    findings = (*scanned.findings, unchecked, *looked, *check_texts(held_out, _alike(held_out)), *check_targets(parts, labels))
    said = (
        *scanned.schema.said,
        f"Rows are read in pieces of {PIECE:,}; columns and task follow from the first piece (data.streaming).",
        *_said_of_shares(wanted, held_out, len(scanned.targets)),
        f"Rows: {', '.join(f'{len(rows)} {part}' for part, rows in parts.items())}.",
    )
    content = {part: {"texts": rows.inputs, "targets": rows.targets.tolist()} for part, rows in given.items()}
    data_hash = hash_json({"train": scanned.data_hash, **content})
    return DatasetSplits(streamed, held_out["validation"], held_out["test"], labels, scanned.schema, findings, said, data_hash)


def _the_file(train: Any, named: Named) -> Path:
    """The training file; everything that streaming cannot do is refused at once."""
    if train is None:
        raise no_training_rows()
    python = [] if isinstance(train, (str, Path)) else ["rows given from Python"]
    keys = [f"data.{key}" for key in ("group", "time") if named.get(key)]
    task = named.get("task")
    other = [] if task is None or task in TASKS else [f"data.task={task}"]
    if unfit := [*python, *keys, *other]:
        raise UserError(
            f"data.streaming does not go with {', '.join(unfit)}",
            expected="a file of rows, split row by row, with one label or number each",
            try_="--set data.streaming=false, or leave them out",
        )
    return Path(train)


def _given(sources: Mapping[str, Any], scanned: Scanned) -> tuple[dict[str, Rows], list[UserError]]:
    """Parts with a source of their own."""
    faults: list[UserError] = []
    given = {}
    for part, source in sources.items():
        if source is not None:
            with gathering(faults):
                given[part] = label_rows(read_table(source), scanned.schema, scanned.labels)
    return given, faults


def _stamp(path: Path) -> tuple[int, int] | None:
    """Time of change and size; None where reading will say why there is neither."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def _chosen_rows(
    path: Path, stamp: tuple[int, int] | None, schema: Schema, chosen: np.ndarray
) -> Iterator[tuple[list[tuple[str, ...]], tuple[int, ...]]]:
    """Texts and row numbers of the rows ``chosen`` (ascending), piece by piece; a file that changed is refused."""
    start = 0
    for table in read_pieces(path, PIECE):
        first, last = np.searchsorted(chosen, (start, start + len(table)))
        if last > first:
            part = table.select((chosen[first:last] - start).tolist())
            yield texts_of(part, schema), part.rows
        start += len(table)
    if _stamp(path) != stamp:
        raise UserError(f"{path} changed while it was read", expected="the same rows until the run is set up")


def _held_out(
    read: Callable[[np.ndarray], Iterator[tuple[list[tuple[str, ...]], tuple[int, ...]]]],
    scanned: Scanned,
    parts: Mapping[str, np.ndarray],
) -> dict[str, Rows]:
    """The rows that are taken out of train, with their texts; all of them in one reading of the file."""
    if not parts:
        return {}
    indices = np.sort(np.concatenate(list(parts.values())))
    texts: list[tuple[str, ...]] = []
    numbers: list[int] = []
    for some, where in read(indices):
        texts += some
        numbers += where
    rows = Rows(texts, scanned.targets[indices], np.array(numbers, dtype=np.int64), scanned.source, scanned.unit)
    return {part: rows.select(np.searchsorted(indices, places)) for part, places in parts.items()}


def _alike(parts: Mapping[str, Rows]) -> dict[str, np.ndarray]:
    """Group ids of texts that are equal but for case and punctuation; nearly equal ones take more memory to find."""
    ids = same_groups([normalize(texts) for rows in parts.values() for texts in rows.inputs])
    ends = np.cumsum([len(rows) for rows in parts.values()])[:-1]
    return dict(zip(parts, np.split(ids, ends), strict=True))


def _measured(labels: Labels, targets: np.ndarray) -> Labels:
    """Mean and spread of numbers are those of the rows that are trained on."""
    if labels.names:
        return labels
    return Labels(labels.task, (), float(targets.mean(dtype=np.float64)), given_spread_or_one(targets))


def _said_of_shares(wanted: Mapping[str, float], held: Mapping[str, Rows], n: int) -> list[str]:
    return [
        f"{len(held[part])} rows are held out for {part}, not {round(share * n)} as its share asks: their texts stay in memory."
        for part, share in wanted.items()
        if round(share * n) > MOST_HELD_OUT
    ]
