"""What the rows themselves reveal before a model is loaded: each thing noticed is counted and says where.

Source: Northcutt, Athalye and Mueller 2021, Pervasive label errors in test sets (conflicting labels); Kapoor and
Narayanan 2023, Leakage and the reproducibility crisis in machine-learning-based science (its taxonomy of leakage).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.types import Finding, Labels
from tunewright.datasets.quality.duplicates import normalize, same_groups
from tunewright.datasets.rows import Rows, StreamedRows
from tunewright.datasets.sketches import MOST
from tunewright.datasets.table import listed

_ONE_CLASS = ("classification", "ordinal")  # tasks with one class for each row
IMBALANCE = 10  # commonest to rarest class from which it is said (a guess)
FEW_ROWS = 100  # train rows below which intervals are very wide (a guess)


def _warning(code: str, message: str, part: str, rows: Rows, indices: Sequence[int]) -> Finding:
    numbers = tuple(int(rows.numbers[index]) for index in indices)
    return Finding(code, f"{part}: {message} ({rows.where(indices)})", "warning", numbers, len(indices))


def refuse(train: Rows, labels: Labels, *, holds_out: bool) -> list[UserError]:
    """Why nothing can be learnt from these rows; ``holds_out``: other parts are to be taken from them."""
    faults = []
    empty = [index for index, texts in enumerate(train.texts) if not any(text.strip() for text in texts)]
    if len(empty) == len(train):
        faults.append(
            UserError(
                f"{train.source}: the text of all {len(train)} rows is empty", expected="rows with text", try_="--text NAME"
            )
        )
    return faults + refuse_targets(train.targets, labels, train.source, holds_out=holds_out)


def refuse_targets(targets: np.ndarray, labels: Labels, source: str, *, holds_out: bool) -> list[UserError]:
    """Why nothing can be learnt from these targets."""
    if targets.dtype == object:
        return []  # texts, spans and boxes are looked at by their own form
    if (targets == targets[:1]).all():
        same = f"the label '{labels.names[targets[0]]}'" if labels.task in _ONE_CLASS else "the same target"
        return [
            UserError(
                f"{source}: every one of the {len(targets)} rows has {same}",
                expected="at least two different targets",
                try_="add rows of another kind, or name another column: --target NAME",
            )
        ]
    if holds_out and labels.task == "classification" and np.bincount(targets).max() == 1:
        return [
            UserError(
                f"{source}: each of the {len(labels.names)} labels has only one row",
                expected="several rows of each label, so that some can be held out",
                try_="add rows, or give validation and test files; numbers as target need --task regression",
            )
        ]
    return []


def _empty_texts(part: str, rows: Rows) -> list[Finding]:
    empty = [index for index, texts in enumerate(rows.texts) if not all(text.strip() for text in texts)]
    return [_warning("empty_text", f"{len(empty)} of {len(rows)} rows have an empty text", part, rows, empty)] if empty else []


def _content(rows: Rows) -> str:
    """What rows are compared by, in a word."""
    return rows.kind if rows.kind in ("image", "audio") else "text"


def _repeats(groups: np.ndarray) -> list[int]:
    """Indices of all rows but the first of each group."""
    first = np.unique(groups, return_index=True)[1]
    return [int(index) for index in np.setdiff1d(np.arange(len(groups)), first)]


def _duplicates(part: str, rows: Rows, near: np.ndarray) -> list[Finding]:
    """Rows that repeat an earlier one, and rows that nearly do."""
    repeated = _repeats(same_groups(rows.texts))
    alike = sorted(set(_repeats(near)) - set(repeated))
    findings = []
    if repeated:
        findings.append(
            _warning(
                "exact_duplicates", f"{len(repeated)} rows have the {_content(rows)} of an earlier row", part, rows, repeated
            )
        )
    if alike:
        findings.append(_warning("near_duplicates", f"{len(alike)} rows have nearly the text of another row", part, rows, alike))
    return findings


def not_all_compared(unsure: np.ndarray) -> list[Finding]:
    """That some rows have too many others that may be nearly like them. ``unsure``: which, (n,) bool."""
    many = int(unsure.sum())
    if not many:
        return []
    message = (
        f"{many} of {len(unsure)} rows have a form that very many others have, too; each was compared with the {MOST} most like "
        "it by their sketches only, so that some near-duplicates may be overlooked"
    )
    return [Finding("near_duplicates_cut", message, "note", count=many)]


def _conflicts(part: str, rows: Rows) -> list[Finding]:
    """Equal texts whose targets differ."""
    places = defaultdict(list)
    for index, texts in enumerate(rows.texts):
        places[normalize(texts)].append(index)
    wrong = [
        index
        for group in places.values()
        if len(group) > 1 and any(not np.array_equal(rows.targets[index], rows.targets[group[0]]) for index in group)
        for index in group
    ]
    return (
        [
            _warning(
                "conflicting_labels",
                f"{len(wrong)} rows have texts that are equal but for case and punctuation, with different targets",
                part,
                rows,
                wrong,
            )
        ]
        if wrong
        else []
    )


def _counts(rows: Rows | StreamedRows, labels: Labels) -> np.ndarray:
    if labels.task in _ONE_CLASS:
        return np.bincount(rows.targets, minlength=len(labels.names))
    return np.asarray((rows.targets > 0).sum(axis=0))


def _classes(parts: Mapping[str, Rows | StreamedRows], labels: Labels) -> list[Finding]:
    """Imbalance, classes of one row, and classes that a part has no row of."""
    findings = []
    total = sum(_counts(rows, labels) for rows in parts.values())
    single = [labels.names[number] for number in np.flatnonzero(total == 1)]
    if single:
        message = f"{len(single)} classes have one row, which is not enough to learn and measure them: {listed(single)}"
        findings.append(Finding("one_row_class", message, "warning", count=len(single)))
    train = _counts(parts["train"], labels)
    if train.min() > 0 and train.max() >= IMBALANCE * train.min():
        most, least = labels.names[train.argmax()], labels.names[train.argmin()]
        message = f"train is imbalanced: '{most}' has {train.max()} rows, '{least}' {train.min()}"
        findings.append(Finding("imbalance", message, "warning", count=int(train.max() // train.min())))
    for name, rows in parts.items():
        missing = [labels.names[number] for number in np.flatnonzero(_counts(rows, labels) == 0)]
        if missing and len(rows):
            message = f"{name} has no row of {len(missing)} of {len(labels.names)} classes: {listed(missing)}"
            findings.append(Finding("class_missing", message, "warning", count=len(missing)))
    return findings


def _variants(labels: Labels, train: Rows | StreamedRows) -> list[Finding]:
    """Labels that differ in case or outer space only, and are probably one."""
    alike = defaultdict(list)
    for name in labels.names:
        alike[name.strip().casefold()].append(name)
    findings = []
    for names in alike.values():
        if len(names) < 2:
            continue
        counts = _counts(train, labels)
        shown = ", ".join(f"'{name}' ({counts[labels.names.index(name)]} rows)" for name in names)
        message = f"{train.source}: labels that differ only in case or space are kept apart: {shown}"
        findings.append(Finding("label_variants", message, "warning", count=len(names)))
    return findings


def _leakage(parts: Mapping[str, Rows], near: Mapping[str, np.ndarray]) -> list[Finding]:
    """Rows of a held-out part whose text, or nearly, is in a part that the model learns or is chosen from."""
    findings = []
    for held, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        if held not in parts or other not in parts:
            continue
        known = set(near[other].tolist())
        leaked = [index for index, group in enumerate(near[held].tolist()) if group in known]
        if leaked:
            message = f"{len(leaked)} rows have the {_content(parts[held])} of a {other} row, or nearly; scores on them flatter"
            findings.append(_warning("leakage", message, held, parts[held], leaked))
    return findings


def group_leakage(groups: Mapping[str, Sequence[object]], parts: Mapping[str, Rows]) -> list[Finding]:
    """Rows of a given part whose group has rows in train too. ``groups``: each part's group names, in the order of its rows."""
    findings = []
    known = set(groups["train"])
    for part in (name for name in groups if name != "train"):
        leaked = [index for index, group in enumerate(groups[part]) if group in known]
        if leaked:
            message = f"{len(leaked)} rows belong to groups that train has rows of, too; scores on them flatter"
            findings.append(_warning("group_leakage", message, part, parts[part], leaked))
    return findings


def check(parts: Mapping[str, Rows], labels: Labels, near: Mapping[str, np.ndarray]) -> list[Finding]:
    """All findings on parts 'train', 'validation' and 'test' (those that exist). ``near``: their near-duplicate group ids."""
    return check_texts(parts, near) + check_targets(parts, labels)


def check_texts(parts: Mapping[str, Rows], near: Mapping[str, np.ndarray]) -> list[Finding]:
    """What texts tell: empty, repeated, with different targets, or on both sides of a split."""
    findings = []
    for name, rows in parts.items():
        findings += _empty_texts(name, rows) + _duplicates(name, rows, near[name]) + _conflicts(name, rows)
    return findings + _leakage(parts, near)


def check_targets(parts: Mapping[str, Rows | StreamedRows], labels: Labels) -> list[Finding]:
    """What targets and the number of rows tell; 'train' is among the parts."""
    findings = []
    if labels.task in (*_ONE_CLASS, "multi_label"):
        findings += _classes(parts, labels) + _variants(labels, parts["train"])
    if len(parts["train"]) < FEW_ROWS:
        message = f"train has only {len(parts['train'])} rows; expect wide intervals"
        findings.append(Finding("tiny_data", message, "warning", count=len(parts["train"])))
    return findings
