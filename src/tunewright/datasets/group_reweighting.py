"""Weights of training rows under which what a row's group is says nothing of its class.

Source: Kamiran and Calders 2012, Data preprocessing techniques for classification without discrimination, section 4.2.
When: the report `fairness` finds that groups are given a class unequally, and the training rows have it unequally, too. When not:
the groups differ in what is true of them and that should be learned; a group that is hardly among the training rows.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.errors import UserError
from tunewright.datasets.cells import cells_of
from tunewright.datasets.groups import groups_of
from tunewright.datasets.prepare import DatasetSplits
from tunewright.datasets.rows import Rows

TASKS = ("classification", "ordinal")

_QUANTILES = 4  # parts of a column of numbers, as the report `fairness` cuts it


def reweighed(places: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Of each row how often its group and class would meet by chance over how often they do, (n,) float32; their mean is 1."""
    met = np.zeros((places.max() + 1, targets.max() + 1))
    np.add.at(met, (places, targets), 1)
    expected = met.sum(1, keepdims=True) * met.sum(0) / len(places)
    found: np.ndarray = (expected[places, targets] / met[places, targets]).astype(np.float32)
    return found


def row_weights(prepared: DatasetSplits, column: str) -> np.ndarray:
    """The weight of each training row by the groups of a column."""
    if prepared.labels.task not in TASKS or not isinstance(prepared.train, Rows):
        raise UserError(
            f"data.group_reweighting weighs rows by their class, and the task is {prepared.labels.task}",
            expected=f"{' or '.join(TASKS)} of rows in memory",
        )
    groups = groups_of(column, {"train": cells_of(prepared, "train", column)}, _QUANTILES)
    return reweighed(groups.places["train"], prepared.train.targets.astype(np.int64))
