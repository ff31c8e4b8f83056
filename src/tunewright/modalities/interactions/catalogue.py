"""Who took what: the users, the items and the histories that training rows hold.

Source: implicit feedback: Hu, Koren and Volinsky 2008, section 3 (what was taken counts, what was not is unknown).
When: recommendation from logs of views, purchases or good ratings. When not: a score for a given pair, which is regression on a
table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.datasets.ragged import Ragged, ragged

if TYPE_CHECKING:
    from torch import Tensor

UNKNOWN = 0  # the place of a user or item that training never saw


@dataclass(frozen=True)
class Catalogue:
    """Users and items by name, each at a place from 1 on, and the items that each place's user took, in the order of the rows.

    ``texts`` says of each item what it is, in words; empty where no column does.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    taken: Ragged  # (1 + users,) rows of item places, nothing for place 0
    texts: tuple[str, ...] = ()

    @cached_property
    def popularity(self) -> np.ndarray:
        """How many users took each place's item, (1 + items,) int64."""
        return np.bincount(self.taken.values, minlength=len(self.items) + 1)

    @cached_property
    def _places(self) -> tuple[dict[str, int], dict[str, int]]:
        users, items = ({name: place for place, name in enumerate(names, 1)} for names in (self.users, self.items))
        return users, items

    def users_at(self, names: Iterable[str]) -> np.ndarray:
        """Places of users, (n,) int64; 0 for those that training never saw."""
        return np.array([self._places[0].get(name, UNKNOWN) for name in names], dtype=np.int64)

    def items_at(self, names: Iterable[str]) -> np.ndarray:
        """Places of items, (n,) int64; 0 for those that training never saw."""
        return np.array([self._places[1].get(name, UNKNOWN) for name in names], dtype=np.int64)

    def example(self) -> dict[str, Tensor]:
        """The smallest batch that two towers read."""
        import torch

        return {"users": torch.tensor([1]), "taken": torch.tensor([[1]]), "items": torch.tensor([1])}

    def to_dict(self) -> dict[str, Any]:
        return {
            "users": list(self.users),
            "items": list(self.items),
            "taken": self.taken.values.tolist(),
            "lengths": self.taken.lengths.tolist(),
            "texts": list(self.texts),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Catalogue:
        """What ``to_dict`` wrote; another shape, or a place that is nobody's, is a UserError."""
        try:
            values, lengths = (np.array(saved[name], dtype=np.int64).reshape(-1) for name in ("taken", "lengths"))
            found = cls(tuple(saved["users"]), tuple(saved["items"]), Ragged(values, lengths), tuple(saved["texts"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"the catalogue of users and items cannot be used: {error}", expected="the one that was saved"
            ) from None
        whole = len(lengths) == len(found.users) + 1 and (lengths >= 0).all() and lengths.sum() == len(values)
        inside = not len(values) or (values.min() > UNKNOWN and values.max() <= len(found.items))
        if not (whole and inside and len(found.texts) in (0, len(found.items))):
            raise UserError("the catalogue of users and items does not fit together", expected="the one that was saved")
        return found


def learn_catalogue(rows: Sequence[tuple[str, ...]]) -> Catalogue:
    """Users, items and histories of training rows (user, item) or (user, item, text); a pair that comes again counts once."""
    pairs = list(dict.fromkeys((row[0], row[1]) for row in rows))
    users, items = (tuple(sorted({pair[place] for pair in pairs})) for place in (0, 1))
    if len(items) < 2:
        raise UserError(f"the training rows hold {len(items)} item", expected="at least two, of which some are to be recommended")
    told = {row[1]: row[2] for row in reversed(rows) if len(row) > 2}  # of several texts the first
    place = {name: place for place, name in enumerate(items, 1)}
    histories: dict[str, list[int]] = {user: [] for user in users}
    for user, item in pairs:
        histories[user].append(place[item])
    taken = ragged([np.empty(0, np.int64), *(np.array(histories[user], dtype=np.int64) for user in users)])
    return Catalogue(users, items, taken, tuple(told[item] for item in items) if told else ())
