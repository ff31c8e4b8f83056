"""Users and the items that they took, perhaps with a text that says what an item is.

When: logs of views, purchases or good ratings, one row for each. When not: a rating to be predicted (a table's row).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.core.errors import UserError, gathering, raise_all
from tunewright.datasets.columns import find, folded, named
from tunewright.datasets.labels import is_empty, label_name
from tunewright.datasets.numbers import as_number
from tunewright.datasets.table import Table
from tunewright.modalities.interactions.catalogue import UNKNOWN, Catalogue
from tunewright.modalities.processor_files import read_preparation

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 80
TOKENIZED = False
SCRATCH_LOADING = "tunewright.models.two_tower_loading"

USER_NAMES = frozenset({"user", "user_id", "userid", "customer", "customer_id", "customerid", "visitor", "visitor_id"})
ITEM_NAMES = frozenset({"item", "item_id", "itemid", "product", "product_id", "productid", "movie_id", "movieid", "article_id"})

_LONGEST = 100  # items of a history that are read, the last ones (a guess)


@dataclass(frozen=True)
class Encoded:
    """n rows of a user's and an item's place; ``items`` is None where items are to be recommended."""

    users: np.ndarray  # (n,) int64
    items: np.ndarray | None  # (n,) int64
    catalogue: Catalogue
    truncated: int = 0  # only the last items of a long history are read, and that is no fault
    varies: ClassVar[bool] = True  # training hides some users and items

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> np.ndarray:
        """One step for each row, (n,) int64."""
        return np.ones(len(self), dtype=np.int64)

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given."""
        return replace(self, users=self.users[rows], items=None if self.items is None else self.items[rows])

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Users (batch,), what else they took (batch, longest), filled up with 0; for training the rows' items (batch,)."""
        import torch

        taken = self.catalogue.taken[self.users[rows]]
        width = min(_LONGEST, max(1, int(taken.lengths.max(initial=0))))
        histories = np.zeros((len(rows), width), dtype=np.int64)
        for place, row in enumerate(rows):
            others = taken.row(place)
            others = (others if self.items is None else others[others != self.items[row]])[-_LONGEST:]
            histories[place, : len(others)] = others
        made = {"users": torch.from_numpy(self.users[rows]), "taken": torch.from_numpy(histories)}
        return made | ({"items": torch.from_numpy(self.items[rows])} if training and self.items is not None else {})

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        return [self.users, *([] if self.items is None else [self.items])]

    def left_out(self, row: int) -> np.ndarray:
        """Places that compete with no item of a row: nobody's, what its user took, and the other right ones of these rows."""
        found = np.concatenate([[UNKNOWN], self.catalogue.taken.row(self.users[row]), self._right.get(self.users[row], [])])
        return found.astype(np.int64)

    @cached_property
    def _right(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        if self.items is not None:
            for user, item in zip(self.users.tolist(), self.items.tolist(), strict=True):
                found.setdefault(user, []).append(item)
        found.pop(UNKNOWN, None)  # users that training never saw are not one user
        return found


def recognize(table: Table, wanted: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column of users and one of items by their names, and nothing to be predicted; for the task by name also a text."""
    if wanted.get("task") not in (None, "recommendation") or wanted.get("target"):
        return None
    inputs = tuple(wanted.get("text") or ())
    if wanted.get("task") == "recommendation" and inputs:
        return (inputs, (), "recommendation") if len(inputs) in (2, 3) else None
    found = tuple(name for names in (USER_NAMES, ITEM_NAMES) for name in named(table.columns, names))
    if inputs or len(found) != 2 or folded(found[0]) not in USER_NAMES:
        return None
    return found, (), "recommendation"


def read(table: Table, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """User, item and the item's text of each row; the user alone is enough where items are to be recommended."""
    held = [columns[0], *(name for name in columns[1:] if folded(name) in map(folded, table.columns))]
    faults: list[UserError] = []
    cells: list[list[str]] = []
    for name in held:
        with gathering(faults):
            cells.append(_names(table, name))
    raise_all(faults)
    return list(zip(*cells, strict=True))


def _names(table: Table, name: str) -> list[str]:
    """The cells of a column as names: 7 and 7.0 are one user."""
    cells = table.column(find(table, name, "text")[0])
    wrong = [index for index, cell in enumerate(cells) if is_empty(cell) or isinstance(cell, (list, tuple, dict, bool))]
    if wrong:
        raise UserError(f"{table.where(wrong)}: '{name}' is {cells[wrong[0]]!r}", expected="a name or number in every row")
    return [
        str(int(cell)) if isinstance(cell, float) and as_number(cell) == int(cell) else label_name(cell).strip() for cell in cells
    ]


def shown(row: tuple[Any, ...]) -> str:
    """User and item in one line."""
    return " took ".join(map(str, row[:2]))


def key(row: tuple[Any, ...]) -> bytes:
    """Equal for rows that say the same."""
    return "\x1f".join(map(str, row[:2])).encode("utf-8", "surrogatepass")


def encode(inputs: Sequence[tuple[Any, ...]], catalogue: Catalogue, *, known: bool) -> Encoded:
    """Places of users, and of items where they are ``known``."""
    users = catalogue.users_at(row[0] for row in inputs)
    return Encoded(users, catalogue.items_at(row[1] for row in inputs) if known else None, catalogue)


def load_processor(folder: Path, config: Any) -> Catalogue:
    """The users and items that the model folder declares."""
    catalogue: Catalogue = read_preparation(folder, "interactions", Catalogue.from_dict)
    return catalogue
