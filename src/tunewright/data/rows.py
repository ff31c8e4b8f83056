"""The texts of a table's rows, as the network will read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core.errors import UserError, raise_all
from tunewright.data.columns import find
from tunewright.data.schema import Schema
from tunewright.data.table import Table, listed


@dataclass(frozen=True)
class Rows:
    """Examples of one part: ``inputs`` as their kind has them, encoded ``targets``, and the rows' ``numbers`` in ``source``."""

    inputs: list[tuple[Any, ...]]
    targets: np.ndarray
    numbers: np.ndarray
    source: str = ""
    unit: str = "row"

    def __len__(self) -> int:
        return len(self.inputs)

    def select(self, indices: np.ndarray) -> Rows:
        inputs = [self.inputs[index] for index in indices]
        return Rows(inputs, self.targets[indices], self.numbers[indices], self.source, self.unit)

    def where(self, indices: Sequence[int]) -> str:
        """The source and the numbers of some rows, in words."""
        unit = self.unit if len(indices) == 1 else f"{self.unit}s"
        return f"{self.source}, {unit} {listed(int(self.numbers[index]) for index in indices)}"


@dataclass(frozen=True)
class StreamedRows:
    """Training rows whose texts stay in their file: each call of ``pieces`` reads them anew, some at a time, in their order."""

    pieces: Callable[[], Iterator[list[tuple[str, ...]]]]
    targets: np.ndarray
    source: str = ""

    def __len__(self) -> int:
        return len(self.targets)


def _as_text(value: Any) -> str | None:
    """None for what is not text; a missing value is the empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else None


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _column(table: Table, name: str) -> tuple[list[str], list[UserError]]:
    cells = table.columns[name]
    texts = [_as_text(value) for value in cells]
    faults = []
    wrong = [index for index, text in enumerate(texts) if text is None]
    if wrong:
        faults.append(
            UserError(
                f"{table.where(wrong)}: '{name}' holds a {type(cells[wrong[0]]).__name__}",
                expected="text",
                try_=f"write each value of '{name}' as one string",
            )
        )
    halves = [index for index, text in enumerate(texts) if text is not None and not _is_whole(text)]
    if halves:
        faults.append(
            UserError(
                f"{table.where(halves)}: '{name}' holds half of a character (a lone surrogate)", expected="whole characters"
            )
        )
    return [text or "" for text in texts], faults


def texts_of(table: Table, schema: Schema) -> list[tuple[str, ...]]:
    """The one or two texts of each row; a column that is missing or not text is a ``UserError``."""
    faults: list[UserError] = []
    columns = []
    for name in schema.text:
        try:
            found, _ = find(table, name, "text")
        except UserError as error:
            faults.append(error)
            continue
        texts, wrong = _column(table, found)
        columns.append(texts)
        faults += wrong
    raise_all(faults)
    return list(zip(*columns, strict=True))
