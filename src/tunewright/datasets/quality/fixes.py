"""What is wrong with rows and can be mended without asking a person: each fix keeps, drops or rewrites rows, and says which.

Source: leaked rows leave train, never test: Kapoor and Narayanan 2023, L1; labels that contradict each other: Northcutt,
Athalye and Mueller 2021, Pervasive label errors in test sets, section 3 (the majority decides, else nobody).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tunewright.datasets.labels import label_name
from tunewright.datasets.quality.damage import mend_mojibake, without_html
from tunewright.datasets.quality.duplicates import near_groups, normalize, same_groups
from tunewright.datasets.quality.personal import KINDS, find_personal, mask_personal

Conflicts = Literal["drop", "vote"]

SAFE = {
    "empty_text": "rows with an empty text are left out",
    "label_variants": "labels that differ only in case or outer space become the most frequent of them",
    "conflicts": "rows of equal texts with different labels are left out, or those that the majority speaks against",
    "exact_duplicates": "rows with the text and the target of an earlier row are left out",
    "leakage": "rows whose text, or nearly, is in validation or test are left out of train",
}
ASKED = {
    "near_duplicates": "rows with nearly the text of an earlier row and the same target are left out",
    "text": "UTF-8 read in another encoding is read again, and what is left of web pages is taken out",
    "personal": "personal data is replaced by its kind, as in [email]",
}
# Rows of a table that say the same may be two people: only what is about their labels is mended without being asked for.
OF_TABLES = ("label_variants", "conflicts", "exact_duplicates", "leakage")
SAFE_OF_TABLES = ("label_variants",)
_NAMED_CLASSES: tuple[str, ...] = ("classification", "ordinal", "multi_label")


@dataclass(frozen=True)
class Change:
    """What one fix did: to which rows of the source, and in words."""

    fix: str
    said: str
    rows: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.rows)

    def as_dict(self) -> dict[str, Any]:
        return {"fix": self.fix, "said": self.said, "count": self.count, "rows": list(self.rows)}


@dataclass
class Work:
    """Train rows while they are mended. ``targets`` are values as the table has them; ``others`` the texts of other parts.

    Where rows are compared ``by_digest``, what stands for a text is equal for rows that say the same, and tells no more.
    """

    texts: list[tuple[str, ...]]
    targets: list[Any]
    numbers: Sequence[int]
    task: str
    others: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    conflicts: Conflicts = "drop"
    by_digest: bool = False
    kept: np.ndarray = field(init=False)
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = np.ones(len(self.texts), dtype=bool)

    def left(self) -> list[int]:
        return [int(index) for index in np.flatnonzero(self.kept)]

    def drop(self, fix: str, indices: Sequence[int], said: str) -> None:
        self.kept[list(indices)] = False
        self.tell(fix, indices, said)

    def tell(self, fix: str, indices: Sequence[int], said: str) -> None:
        if indices:
            rows = tuple(int(self.numbers[index]) for index in sorted(indices))
            self.changes.append(Change(fix, f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'} {said}", rows))

    def key(self, index: int) -> Hashable:
        """A target that can be compared."""
        value = self.targets[index]
        return tuple(sorted(map(label_name, value))) if isinstance(value, (list, tuple)) else label_name(value)


def mend(work: Work, chosen: Sequence[str]) -> None:
    """Make the named fixes, in the order in which each sees what the one before it left."""
    for name, make in _FIXES.items():
        if name in chosen:
            make(work)


def _rewrite(work: Work, fix: str, how: Callable[[str], str], said: str) -> None:
    changed = []
    for index in work.left():
        new = tuple(how(text) for text in work.texts[index])
        if new != work.texts[index]:
            work.texts[index] = new
            changed.append(index)
    work.tell(fix, changed, said)


def _text(work: Work) -> None:
    _rewrite(work, "text", lambda text: without_html(mend_mojibake(text)), "had damaged text mended")


def _empty_text(work: Work) -> None:
    empty = [index for index in work.left() if not all(text.strip() for text in work.texts[index])]
    work.drop("empty_text", empty, "with an empty text left out")


def _label_variants(work: Work) -> None:
    if work.task != "classification":
        return
    counts = Counter(label_name(work.targets[index]) for index in work.left())
    alike = defaultdict(list)
    for name in sorted(counts):
        alike[name.strip().casefold()].append(name)
    chosen: dict[str, str] = {}
    for names in alike.values():
        chosen |= dict.fromkeys(names, max(names, key=lambda one: (counts[one], one == one.strip())))
    changed = []
    for index in work.left():
        name = label_name(work.targets[index])
        if chosen[name] != name:
            work.targets[index] = chosen[name]
            changed.append(index)
    work.tell("label_variants", changed, "given the most frequent spelling of their label")


def _conflicts(work: Work) -> None:
    if work.task not in _NAMED_CLASSES:
        return
    groups = defaultdict(list)
    for index in work.left():
        groups[normalize(work.texts[index])].append(index)
    wrong: list[int] = []
    for group in groups.values():
        counts = Counter(work.key(index) for index in group)
        if len(counts) < 2:
            continue
        most, many = counts.most_common(1)[0]
        decided = work.conflicts == "vote" and 2 * many > len(group)
        wrong += [index for index in group if not (decided and work.key(index) == most)]
    what = "cells" if work.by_digest else "texts"
    how = f"of equal {what} with different labels left out" + (
        ", where no majority speaks for them" if work.conflicts == "vote" else ""
    )
    work.drop("conflicts", wrong, how)


def _exact_duplicates(work: Work) -> None:
    seen: set[Hashable] = set()
    again = []
    for index in work.left():
        key = (work.texts[index], work.key(index))
        if key in seen:
            again.append(index)
        seen.add(key)
    what = "cells" if work.by_digest else "text"
    work.drop("exact_duplicates", again, f"with the {what} and target of an earlier row left out")


def _near_duplicates(work: Work) -> None:
    left = work.left()
    seen: set[Hashable] = set()
    again = []
    for index, group in zip(left, near_groups([work.texts[index] for index in left]).tolist(), strict=True):
        key = (group, work.key(index))
        if key in seen:
            again.append(index)
        seen.add(key)
    work.drop("near_duplicates", again, "with nearly the text of an earlier row, and its target, left out")


def _leakage(work: Work) -> None:
    for part, texts in work.others.items():
        left = work.left()
        alike = same_groups if work.by_digest else near_groups
        groups = alike([*(work.texts[index] for index in left), *texts])
        known = set(groups[len(left) :].tolist())
        leaked = [index for index, group in zip(left, groups.tolist(), strict=False) if group in known]
        what = "whose cells are" if work.by_digest else "whose text, or nearly, is"
        work.drop("leakage", leaked, f"{what} in {part} left out of train")


def _personal(work: Work) -> None:
    kinds: Counter[str] = Counter()

    def mask(text: str) -> str:
        found = find_personal(text)
        kinds.update(one.kind for one in found)
        return mask_personal(text, found)

    before = len(work.changes)
    _rewrite(work, "personal", mask, "had personal data masked")
    if len(work.changes) > before:
        last = work.changes.pop()
        shown = ", ".join(f"{kinds[kind]:,} [{kind}]" for kind in KINDS if kinds[kind])
        work.changes.append(Change(last.fix, f"{last.said}: {shown}", last.rows))


_FIXES: dict[str, Callable[[Work], None]] = {
    "text": _text,
    "empty_text": _empty_text,
    "label_variants": _label_variants,
    "conflicts": _conflicts,
    "exact_duplicates": _exact_duplicates,
    "near_duplicates": _near_duplicates,
    "leakage": _leakage,
    "personal": _personal,
}
