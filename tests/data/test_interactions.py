"""Users and items: recognized, read with their faults, learnt from training rows, histories without the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.schema import guess_schema
from tunewright.datasets.table import Table
from tunewright.modalities.interactions import modality as interactions
from tunewright.modalities.interactions.catalogue import Catalogue, learn_catalogue

ROWS = [("ann", "tea"), ("ann", "jam"), ("bob", "rye"), ("ann", "rye"), ("cy", "jam"), ("ann", "tea")]


def table(**columns: list[Any]) -> Table:
    return Table(columns, tuple(range(2, 2 + len(next(iter(columns.values()))))), "log.csv", "line")


@pytest.fixture
def catalogue() -> Catalogue:
    return learn_catalogue(ROWS)


def test_columns_are_recognized_by_their_names_and_said() -> None:
    found = guess_schema(table(User_ID=[1, 1], item=["a", "b"], rating=[5, 4]))
    assert (found.kind, found.task, found.text) == ("interactions", "recommendation", ("User_ID", "item"))
    assert any("Ignored columns: 'rating'" in said for said in found.said)
    named = guess_schema(
        table(who=[1, 1], what=["a", "b"], title=["A", "B"]), task="recommendation", text=["who", "what", "title"]
    )
    assert named.text == ("who", "what", "title")
    rated = guess_schema(
        table(user=["u1", "u2", "u3"], item=["a", "b", "a"], rating=[1.5, 2.5, 4.0]), target="rating", kind="table"
    )
    assert rated.task == "regression"


def test_numbers_are_names_and_every_fault_is_told_with_its_line() -> None:
    assert interactions.read(table(user=[7, 7.0, "7 "], item=["a", "b", "c"]), ("user", "item")) == [
        ("7", "a"),
        ("7", "b"),
        ("7", "c"),
    ]
    assert interactions.read(table(user=["ann"]), ("user", "item")) == [("ann",)]
    with pytest.raises(UserError) as raised:
        interactions.read(table(user=["a", ""], item=[None, "x"]), ("user", "item"))
    assert "log.csv, line 3: 'user' is ''" in str(raised.value)
    assert "log.csv, line 2: 'item' is None" in str(raised.value)


def test_a_pair_counts_once_and_histories_keep_the_order_of_the_rows(catalogue: Catalogue) -> None:
    assert (catalogue.users, catalogue.items) == (("ann", "bob", "cy"), ("jam", "rye", "tea"))
    histories = [[catalogue.items[place - 1] for place in catalogue.taken.row(user)] for user in range(4)]
    assert histories == [[], ["tea", "jam", "rye"], ["rye"], ["jam"]]
    assert catalogue.popularity.tolist() == [0, 2, 2, 1]
    assert catalogue.users_at(["bob", "dan"]).tolist() == [2, 0]
    assert learn_catalogue([(*row, row[1].upper()) for row in ROWS]).texts == ("JAM", "RYE", "TEA")
    with pytest.raises(UserError, match="hold 1 item"):
        learn_catalogue(ROWS[:1])


def test_a_catalogue_is_saved_and_one_that_does_not_fit_is_refused(catalogue: Catalogue) -> None:
    saved = catalogue.to_dict()
    assert Catalogue.from_dict(saved).to_dict() == saved
    for broken in ({"taken": [9] * 5}, {"lengths": [1]}, {"users": None}, {"texts": ["one"]}, {"taken": ["tea"] * 5}):
        with pytest.raises(UserError, match="catalogue"):
            Catalogue.from_dict({**saved, **broken})


def test_a_history_is_read_without_the_item_that_is_to_be_found(catalogue: Catalogue) -> None:
    encoded = interactions.encode([("ann", "tea"), ("bob", "rye"), ("dan", "jam")], catalogue, known=True)
    batch = encoded.collate(np.arange(3), training=True)
    assert batch["users"].tolist() == [1, 2, 0]
    assert batch["items"].tolist() == [3, 2, 1]
    assert batch["taken"].tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 0]]
    assert "items" not in encoded.collate(np.arange(3))
    asked = interactions.encode([("ann",)], catalogue, known=False).collate(np.array([0]))
    assert asked["taken"].tolist() == [[3, 1, 2]]


def test_what_competes_with_no_item(catalogue: Catalogue) -> None:
    encoded = interactions.encode([("bob", "tea"), ("bob", "jam"), ("dan", "jam"), ("eve", "tea")], catalogue, known=True)
    assert sorted(encoded.left_out(0).tolist()) == [0, 1, 2, 3]
    assert sorted(set(encoded.left_out(2).tolist())) == [0]
