"""What a column is: learned from train alone, kept as JSON, and refused where it would have to be guessed."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.modalities.table.columns import MISSING, OTHER, Column, Columns, learn_columns, numbers_of, places_of


def learn(cells: list[Any], **settings: Any) -> Columns:
    return learn_columns(["c"], [(cell,) for cell in cells], **settings)


def column(cells: list[Any], **settings: Any) -> Column:
    return learn(cells, **settings).columns[0]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3e2", ""], "number"),
        ([1, 2, None, float("nan")], "number"),
        (["3", "?", "n/a", "7"], "number"),
        (["0", "0", "0"], "number"),  # nobody can tell that 1 is the only other value
        (["0", "1", "0"], "yes_no"),
        ([True, True, None], "yes_no"),
        (["Yes", "no", " yes "], "yes_no"),
        (["y", "y"], "yes_no"),
        (["a", "b", "a"], "category"),
        (["007", "A7", "B7"], "category"),
        (["1", "2", "x"], "category"),
        (["2026-01-31", "1999-12-01", None], "date"),
        (["2026-01-31T12:30:00", "1999-12-01"], "date"),
        ([date(2026, 1, 31), datetime(2020, 1, 1, 5)], "date"),
        (["20260131", "20250131"], "number"),
    ],
)
def test_kinds(cells: list[Any], kind: str) -> None:
    assert column(cells).kind == kind


def test_a_column_without_values_is_left_out_and_said() -> None:
    columns = learn_columns(["c", "x"], [(None, 1), ("", 2)])
    assert [one.kind for one in columns.columns] == ["empty", "number"]
    assert columns.numbers == ("x",)
    assert [finding.code for finding in columns.findings] == ["empty_column"]
    with pytest.raises(UserError, match="no column has a value"):
        learn([None, ""])


@pytest.mark.parametrize("odd", ["1,200", "12%", "$5", "1'200"])
def test_another_spelling_of_numbers_is_refused_with_its_row(odd: str) -> None:
    with pytest.raises(UserError, match=r"row 1: .* can mean several things.*1200"):
        learn(["7", odd, "8"])
    assert column(["7", odd, "8", odd], kinds={"c": "category"}).words == (odd,)


def test_a_slip_among_numbers_is_refused_with_its_row() -> None:
    cells: list[Any] = [*range(2, 102), "unknown"]
    with pytest.raises(UserError, match=r"row 100: 'unknown' in 'c' is not a number, and 100 of 101"):
        learn(cells)
    assert column(cells, kinds={"c": "category"}).kind == "category"


def test_infinity_is_refused() -> None:
    with pytest.raises(UserError, match="not a number"):
        learn([1.0, float("inf"), 2.0])


def test_free_text_is_refused_with_a_hint() -> None:
    with pytest.raises(UserError, match=r"free text.*30 different values in 30 rows.*Try: leave 'c' out"):
        learn([f"a sentence that says {number}" for number in range(30)])


def test_the_faults_of_all_columns_are_told_together() -> None:
    rows = [(f"note {number}", "1,2" if number == 3 else number) for number in range(30)]
    with pytest.raises(UserError) as raised:
        learn_columns(["text", "amount"], rows)
    assert "'text' is free text" in str(raised.value)
    assert "'1,2' in 'amount'" in str(raised.value)


def test_named_kinds_that_do_not_exist_or_do_not_fit() -> None:
    with pytest.raises(UserError, match="Did you mean 'number'"):
        learn([1, 2], kinds={"c": "numbers"})
    with pytest.raises(UserError, match="column 'd' is not known"):
        learn([1, 2], kinds={"d": "number"})
    with pytest.raises(UserError, match="row 1: 'b' in 'c' is not a number"):
        learn(["1", "b"], kinds={"c": "number"})
    with pytest.raises(UserError, match="row 1: 'perhaps' in 'c' is neither"):
        learn(["yes", "perhaps"], kinds={"c": "yes_no"})
    with pytest.raises(UserError, match="row 1: 'soon' in 'c' is not a date"):
        learn(["2026-01-31", "soon"], kinds={"c": "date"})


def test_categories_rare_unseen_and_missing() -> None:
    found = learn(["b", "a", "b", "a", "a", "rare", None])
    assert found.columns[0].words == ("a", "b")
    assert found.sizes == (4,)
    assert [(finding.code, finding.count) for finding in found.findings] == [("rare_values", 1)]
    places, strange = places_of(found.columns[0], ["a", "b", " b ", "", None, "rare", "new", "new"])
    assert places.tolist() == [2, 3, 3, MISSING, MISSING, OTHER, OTHER, OTHER]
    assert strange == {"rare": [5], "new": [6, 7]}


def test_the_vocabulary_is_capped_at_the_most_frequent() -> None:
    cells = [f"v{number:03}" for number in range(300) for _ in range(2 + (number >= 100))]
    words = column(cells).words
    assert len(words) == 256
    assert set(words) == {f"v{number:03}" for number in [*range(56), *range(100, 300)]}


def test_a_number_is_one_word_however_it_was_read() -> None:
    one = column([3, 3.0, "3", 4, 4], kinds={"c": "category"})
    assert one.words == ("3", "4")


def test_yes_and_no_in_any_spelling() -> None:
    one = column(["yes", "no"])
    assert places_of(one, [True, "FALSE", "1", 0, "n", None])[0].tolist() == [3, 2, 3, 2, 2, MISSING]
    assert places_of(one, ["perhaps"])[1] == {"perhaps": [0]}


def test_dates_become_days_month_weekday_and_an_hour_where_there_is_one() -> None:
    days = column(["2026-01-31", "2026-02-01", "2027-07-05"])
    assert days.parts == ("days", "month", "weekday")
    assert days.transforms[0].values == (20484.0, 20485.0, 21004.0)
    assert days.transforms[1].values == (1.0, 2.0, 7.0)
    assert days.transforms[2].values == (0.0, 5.0, 6.0)  # a Monday, a Saturday, a Sunday
    hours = column(["2026-01-31T12:30:00", "2026-01-31T14:30:00+02:00", "2026-01-31T18:00:00"])
    assert hours.transforms[3].values == (12.5, 18.0)
    assert learn(["2026-01-31", "2026-02-01"]).numbers == ("c.days", "c.month", "c.weekday")
    values, missing = numbers_of(days, ["2026-02-01", None])
    assert missing.tolist() == [[False] * 3, [True] * 3]
    assert values[0] == pytest.approx([0.0, 0.0, 0.9674], abs=1e-3)  # in the middle, in the middle, last of three


def test_missing_numbers_are_zero_and_flagged() -> None:
    values, missing = numbers_of(column([5, 1, 3, None]), [None, "?", 3, " "])
    assert missing[:, 0].tolist() == [True, True, False, True]
    assert values[:, 0].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert values.dtype == np.float32


def test_what_new_rows_hold_changes_nothing_that_was_learned() -> None:
    train: list[Any] = [(number % 7, "ab"[number % 2]) for number in range(40)]
    columns = learn_columns(["n", "w"], train)
    before = json.dumps(columns.to_dict())
    numbers_of(columns.columns[0], [1e9, -1e9])
    places_of(columns.columns[1], ["zzz"])
    assert json.dumps(columns.to_dict()) == before
    assert learn_columns(["n", "w"], train[::-1]) == columns  # nor does the order of the rows


def test_json_there_and_back() -> None:
    rows = [(number, "ab"[number % 2], f"2026-01-{number + 1:02}", number % 3 == 0, None) for number in range(12)]
    columns = learn_columns(["n", "w", "d", "y", "e"], rows)
    assert [one.kind for one in columns.columns] == ["number", "category", "date", "yes_no", "empty"]
    assert Columns.from_dict(json.loads(json.dumps(columns.to_dict()))).columns == columns.columns


def test_the_example_of_a_row_fits_the_columns() -> None:
    columns = learn_columns(["n", "w", "d"], [(1, "a", "2026-01-31"), (2, "a", "2026-02-01"), (3, "b", "")])
    example = columns.example()
    assert {name: (str(tensor.dtype), tuple(tensor.shape)) for name, tensor in example.items()} == {
        "numbers": ("torch.float32", (1, 4)),
        "missing": ("torch.bool", (1, 4)),
        "categories": ("torch.int64", (1, 1)),
    }


def damaged() -> list[Any]:
    plain = learn_columns(["n", "w"], [(1, "a"), (2, "a"), (3, "b")]).to_dict()
    number, word = plain["columns"]
    broken = [
        {**number, "kind": "numbers"},
        {**number, "transforms": []},
        {**number, "words": ["a"]},
        {**word, "words": ["a", "a"]},
        {**word, "parts": ["days"]},
        {**word, "words": [1]},
        {"name": "n"},
        "n",
    ]
    return [[], {}, {"columns": []}, {"columns": [number, number]}, *({"columns": [one]} for one in broken)]


@pytest.mark.parametrize("saved", damaged())
def test_a_damaged_description_is_refused(saved: Any) -> None:
    with pytest.raises(UserError, match="saved"):
        Columns.from_dict(saved)


def test_a_number_of_the_row_and_a_constant_are_said() -> None:
    rows = [(number, "x") for number in range(1, 41)]
    assert [finding.code for finding in learn_columns(["n", "same"], rows).findings] == ["row_number", "constant_column"]


def test_no_rows_is_an_error() -> None:
    with pytest.raises(UserError, match="no training rows"):
        learn([])


@pytest.mark.real_data
def test_titanic(shared_data: Any) -> None:
    """Names, tickets and cabins are refused together; the rest is what a person would say."""
    import csv
    import gzip

    with gzip.open(shared_data / "titanic" / "titanic.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])
    with pytest.raises(UserError) as raised:
        learn_columns(names, [tuple(row.values()) for row in rows])
    assert [f"'{name}'" in str(raised.value) for name in ("Name", "Ticket", "Cabin", "Age")] == [True, True, True, False]
    kept = [name for name in names if name not in ("PassengerId", "Name", "Ticket", "Cabin")]
    columns = learn_columns(kept, [tuple(row[name] for name in kept) for row in rows])
    assert {one.name: one.kind for one in columns.columns} == {
        **dict.fromkeys(("Pclass", "Age", "SibSp", "Parch", "Fare"), "number"),
        **dict.fromkeys(("Sex", "Embarked"), "category"),
        "Survived": "yes_no",
    }
    age = columns.columns[kept.index("Age")]
    assert int(numbers_of(age, [row["Age"] for row in rows])[1].sum()) == 177
