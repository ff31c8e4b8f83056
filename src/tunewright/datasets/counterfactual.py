"""Training texts once more about somebody else, with the same targets, so that the difference is not learned.

Source: Lu et al. 2018, Gender Bias in Neural Natural Language Processing, section 4 (counterfactual data augmentation).
When: the report `counterfactual` finds predictions that change. When not: the answer depends on who is spoken of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.types import Swap
from tunewright.datasets.prepare import DatasetSplits
from tunewright.datasets.rows import Rows
from tunewright.datasets.word_swaps import swap


def other_input(row: tuple[Any, ...], kind: Swap) -> tuple[Any, ...]:
    """A row's texts with the words of one kind swapped."""
    return tuple(swap(str(text), kind) for text in row)


def with_counterfactuals(prepared: DatasetSplits, kinds: Sequence[Swap]) -> DatasetSplits:
    """The training rows and, for each kind, those that change by it once more; validation and test stay as they are."""
    rows = prepared.train
    if not isinstance(rows, Rows) or rows.kind != "text":
        what = rows.kind if isinstance(rows, Rows) else "rows that are streamed"
        raise UserError(
            f"data.counterfactual_augmentation swaps words of texts, and these are {what}", expected="texts in memory"
        )
    inputs, places, said = list(rows.inputs), list(range(len(rows))), []
    for kind in kinds:
        others = [(place, other) for place, row in enumerate(rows.inputs) if (other := other_input(row, kind)) != row]
        inputs += [other for _, other in others]
        places += [place for place, _ in others]
        said.append(f"{len(others)} training rows are read once more with {kind} swapped.")
    chosen = np.array(places)
    more = Rows(inputs, rows.targets[chosen], rows.numbers[chosen], rows.source, rows.unit, rows.kind)
    return replace(prepared, train=more, said=(*prepared.said, *said))
