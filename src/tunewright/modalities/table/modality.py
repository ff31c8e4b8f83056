"""Rows of a table as numbers and places of categories.

Source: Gorishniy et al. 2021, section 3.3 (the inputs of the feature tokenizer).
When: tables of numbers, categories and dates. When not: columns of free text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.core.errors import UserError, gathering, raise_all
from tunewright.core.types import Finding
from tunewright.datasets.columns import TEXT_NAMES, is_identifier, is_numeric, is_wordy
from tunewright.datasets.columns import named as columns_named
from tunewright.datasets.labels import Where, is_empty, rows_of
from tunewright.datasets.numbers import as_number
from tunewright.datasets.schema import guess_target, guess_task
from tunewright.datasets.table import Table, listed
from tunewright.modalities.processor_files import read_preparation
from tunewright.modalities.table.columns import Columns, numbers_of, places_of

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 130
TOKENIZED = False
SCRATCH_LOADING = "tunewright.models.table_loading"

_TASKS = ("classification", "multi_label", "regression")
_FEWEST = 2  # columns beside the target that make a table of its own kind (a guess)


@dataclass(frozen=True)
class Encoded:
    """n rows as three arrays; ``findings`` tells of values that train does not have."""

    numbers: np.ndarray  # (n, numbers) float32, 0 where missing
    missing: np.ndarray  # (n, numbers) bool
    categories: np.ndarray  # (n, categories) int64
    findings: tuple[Finding, ...] = ()
    truncated: int = 0  # a row is never cut
    varies: ClassVar[bool] = False  # a batch is the same whenever it is made

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, (n,) int64: one for each number and category."""
        return np.full(len(self), self.numbers.shape[1] + self.categories.shape[1], dtype=np.int64)

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given; what was noticed is not told again."""
        return Encoded(self.numbers[rows], self.missing[rows], self.categories[rows])

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Inputs of some rows: numbers (batch, numbers) float32, missing alike bool, categories (batch, categories) int64."""
        import torch

        arrays = {"numbers": self.numbers, "missing": self.missing, "categories": self.categories}
        return {name: torch.from_numpy(array[rows]) for name, array in arrays.items()}

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        return [self.numbers, self.missing, self.categories]


def recognize(table: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """Several columns beside the target, numbers among them and no texts; identifiers are left out."""
    asked = named.get("kind") == "table"
    if not asked and (named.get("text") or named.get("task") not in (None, *_TASKS)):
        return None
    free = [name for name in table.columns if name not in (*(named.get("target") or ()), *(named.get("side") or ()))]
    if not asked and not _is_plain(table, free):
        return None
    target = tuple(named.get("target") or guess_target(table, free))
    left = [name for name in free if name not in target and not is_identifier(name, table.columns[name])]
    inputs = tuple(named.get("text") or left)
    if not inputs or (not asked and len(inputs) < _FEWEST):
        return None
    task = named.get("task") or guess_task([table.columns[name] for name in target], 1)
    return inputs, target, task


def _is_plain(table: Table, names: Sequence[str]) -> bool:
    """Whether columns hold numbers and short words alone, and none is called a text."""
    cells = [table.columns[name] for name in names if not is_identifier(name, table.columns[name])]
    nested = any(isinstance(cell, (list, tuple, dict, bytes)) for column in cells for cell in column)
    if columns_named(names, TEXT_NAMES) or nested:
        return False
    return len(cells) > _FEWEST and any(map(is_numeric, cells)) and not any(map(is_wordy, cells))


def shown(row: tuple[Any, ...]) -> str:
    """A row's cells in one line; '·' stands for an empty one."""
    return ", ".join("·" if is_empty(cell) else str(cell).strip() for cell in row)


def key(row: tuple[Any, ...]) -> bytes:
    """Equal for rows that say the same: 39 and '39.0' are one number, and outer space does not count."""
    numbers = [as_number(cell) for cell in row]
    cells = [
        None if is_empty(cell) else str(cell).strip() if number is None else number
        for cell, number in zip(row, numbers, strict=True)
    ]
    return json.dumps(cells, ensure_ascii=False).encode("utf-8", "surrogatepass")


def read(table: Table, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The cells of each row in the order of ``columns``; a missing column or a cell that is no single value is a UserError."""
    faults: list[UserError] = []
    found: list[list[Any]] = []
    for name in columns:
        with gathering(faults):
            cells = table.column(name)
            wrong = [index for index, cell in enumerate(cells) if isinstance(cell, list | tuple | dict | set)]
            if wrong:
                raise UserError(
                    f"{table.where(wrong)}: '{name}' holds a {type(cells[wrong[0]]).__name__}", expected="one value in each cell"
                )
            found.append(cells)
    raise_all(faults)
    return list(zip(*found, strict=True)) if found else [() for _ in range(len(table))]


def encode(inputs: Sequence[tuple[Any, ...]], columns: Columns, where: Where = rows_of) -> Encoded:
    """Rows of cells, in the order of ``columns.names``, as arrays.

    Raises UserError for cells that are not what their column is, those of all columns together. Values of a category
    that train has too rarely or not at all are read as 'other' and told in ``findings``.
    """
    n, faults, findings = len(inputs), list[UserError](), list[Finding]()
    numbers, missing, categories = [np.zeros((n, 0), np.float32)], [np.zeros((n, 0), bool)], [np.zeros((n, 0), np.int64)]
    for place, column in enumerate(columns.columns):
        cells = [row[place] for row in inputs]
        with gathering(faults):
            if column.size:
                places, strange = places_of(column, cells)
                categories.append(places[:, None])
                findings += _told(column.name, strange, where)
            elif column.transforms:
                values, gaps = numbers_of(column, cells, where)
                numbers.append(values)
                missing.append(gaps)
    raise_all(faults)
    return Encoded(
        np.concatenate(numbers, axis=1),
        np.concatenate(missing, axis=1),
        np.concatenate(categories, axis=1),
        tuple(findings),
    )


def _told(name: str, strange: dict[str, list[int]], where: Where) -> list[Finding]:
    if not strange:
        return []
    rows = sorted(row for found in strange.values() for row in found)
    values = listed(repr(value[:40]) for value in sorted(strange))
    message = f"{where(rows)}: '{name}' is {values}, which train has too rarely or not at all; read as 'other'"
    return [Finding("unseen_category", message, "warning", tuple(rows), len(rows))]


def load_processor(folder: Path, config: Any) -> Columns:
    """What each column is, as the model folder declares it."""
    columns: Columns = read_preparation(folder, "table", Columns.from_dict)
    return columns
