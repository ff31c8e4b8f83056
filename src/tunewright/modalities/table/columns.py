"""What each column of a table is, learned from the training rows only: number, yes/no, category, date, or empty.

Source: numbers: Gorishniy et al. 2021, section 4.2; rare and unseen categories as one: Micci-Barreca 2001, section 2.
When: rows of numbers, categories and dates. When not: columns of free text, which a text model reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from tunewright.core.errors import UserError, gathering, raise_all, unknown
from tunewright.core.types import Finding
from tunewright.datasets.columns import is_identifier
from tunewright.datasets.labels import Where, is_empty, rows_of
from tunewright.datasets.numbers import as_number
from tunewright.datasets.table import listed
from tunewright.modalities.table.quantile_normal import QuantileNormal, apply_quantiles, learn_quantiles

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["number", "yes_no", "category", "date", "empty"]

OTHER, MISSING, FIRST_WORD = 0, 1, 2  # places of a category column: rare or unseen, no value, the first known value

_LARGEST_VOCABULARY = 256  # values of a category column that get a place of their own, the most frequent first (a guess)
_LEAST_COUNT = 2  # a value seen once cannot be told from noise (a guess)
_NEARLY_ALL = 0.95  # from this share of numbers on, what is no number is a slip and not a category (a guess)
_FEW_ROWS = 20  # below, nothing is said about how many values differ (a guess)
_DIFFERENT = 0.5  # a text column in which more than this share of values differ names or tells something (a guess)
_NO_NUMBER = frozenset({"?", "-", "na", "n/a", "nan", "null", "none"})  # written where a number is not known
_TRUTH = {"yes": True, "y": True, "true": True, "t": True, "no": False, "n": False, "false": False, "f": False}
_YES_NO = ("no", "yes")
_DATE_PARTS = ("days", "month", "weekday", "hour")
_NO_HOUR = _DATE_PARTS[:-1]


@dataclass(frozen=True)
class Column:
    """One column as learned: ``transforms`` one for a number, one for each of ``parts`` of a date; ``words`` of a category."""

    name: str
    kind: Kind
    transforms: tuple[QuantileNormal, ...] = ()
    parts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Places of a category column's values, 'other' and 'missing' among them; 0 for a column of numbers."""
        return FIRST_WORD + len(self.words) if self.kind in ("category", "yes_no") else 0

    def as_dict(self) -> dict[str, Any]:
        lists = {"parts": list(self.parts), "words": list(self.words)}
        transforms = [transform.as_dict() for transform in self.transforms]
        return {"name": self.name, "kind": self.kind, "transforms": transforms, **lists}


@dataclass(frozen=True)
class Columns:
    """All columns of a table in their order; what a trained network needs to read new rows as it read the training rows."""

    columns: tuple[Column, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def numbers(self) -> tuple[str, ...]:
        """A name for each number that a row becomes; a date becomes several."""
        return tuple(
            f"{column.name}.{column.parts[place]}" if column.parts else column.name
            for column in self.columns
            for place in range(len(column.transforms))
        )

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.size)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of places of each category column."""
        return tuple(column.size for column in self.columns if column.size)

    def to_dict(self) -> dict[str, Any]:
        """What prediction needs, as JSON holds it; what was noticed while learning is not part of it."""
        return {"columns": [column.as_dict() for column in self.columns]}

    def example(self) -> dict[str, Tensor]:
        """One row without any value, as a network takes it: enough to trace how it runs."""
        import torch

        categories = torch.full((1, len(self.sizes)), MISSING)
        numbers = torch.zeros(1, len(self.numbers))
        return {"numbers": numbers, "missing": torch.ones_like(numbers, dtype=torch.bool), "categories": categories}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Columns:
        """What ``to_dict`` wrote; anything else is a UserError."""
        found = saved.get("columns") if isinstance(saved, Mapping) else None
        if not isinstance(found, list) or not found:
            raise UserError("the saved description of the table's columns is damaged", expected="an object with a list 'columns'")
        columns = tuple(_column_from(one) for one in found)
        if len({column.name for column in columns}) < len(columns):
            raise UserError("the saved description of the table's columns names a column twice", expected="each column once")
        return cls(columns)


def learn_columns(
    names: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    kinds: Mapping[str, str] | None = None,
    where: Where = rows_of,
) -> Columns:
    """What the columns are, from training rows alone: ``rows`` holds one tuple of cells for each, in the order of ``names``.

    ``kinds`` says what a column is where that should not be guessed. Raises UserError for free text, for numbers in another
    spelling than datasets/numbers.py reads, and for kinds that do not fit; the faults of all columns are told together.
    """
    kinds = dict(kinds or {})
    faults = [unknown("column", name, names) for name in kinds if name not in names]
    faults += [unknown("kind of column", kind, get_args(Kind)) for kind in kinds.values() if kind not in get_args(Kind)]
    raise_all(faults)
    if not rows:
        raise UserError("there are no training rows to learn the columns from", expected="at least one row")
    learned: list[Column] = []
    findings: list[Finding] = []
    for place, name in enumerate(names):
        cells = [row[place] for row in rows]
        with gathering(faults):
            kind = kinds.get(name) or _guess(name, cells, where)
            column = _learn(name, kind, cells, where)
            learned.append(column)
            findings += _said(column, cells)
    raise_all(faults)
    columns = Columns(tuple(learned), tuple(findings))
    if not columns.numbers and not columns.categories:
        raise UserError("no column has a value in the training rows", expected="a column of numbers, categories or dates")
    return columns


def numbers_of(column: Column, cells: Sequence[Any], where: Where = rows_of) -> tuple[np.ndarray, np.ndarray]:
    """A number or date column as the network reads it: (n, transforms) float32, 0 where missing; and what is missing, bool.

    Raises UserError for a cell that is neither empty nor of the column's kind.
    """
    plain = _plain_numbers(column.name, cells, where) if column.kind == "number" else _date_parts(column, cells, where)
    missing = np.isnan(plain)
    known = np.where(missing, 0.0, plain)
    read = [apply_quantiles(transform, known[:, place]) for place, transform in enumerate(column.transforms)]
    values = np.stack(read, 1) if read else np.zeros((len(cells), 0), np.float32)
    return np.where(missing, np.float32(0), values), missing


def places_of(column: Column, cells: Sequence[Any]) -> tuple[np.ndarray, dict[str, list[int]]]:
    """A category or yes/no column as places, (n,) int64, and the rows of each value that has no place of its own."""
    position = {word: place for place, word in enumerate(column.words, FIRST_WORD)}
    found = np.full(len(cells), OTHER, dtype=np.int64)
    strange: dict[str, list[int]] = {}
    for index, word in enumerate(_words(column, cells)):
        if word is None:
            found[index] = MISSING
        elif word in position:
            found[index] = position[word]
        else:
            strange.setdefault(word, []).append(index)
    return found, strange


def _column_from(saved: Any) -> Column:
    try:
        name, kind = saved["name"], saved["kind"]
        lists = {key: tuple(saved[key]) for key in ("parts", "words")}
        transforms = tuple(QuantileNormal.from_dict(one) for one in saved["transforms"])
        sound = isinstance(name, str) and kind in get_args(Kind)
        sound = sound and all(isinstance(item, str) for items in lists.values() for item in items)
        wanted = {"number": 1, "date": len(lists["parts"])}.get(kind, 0)
        sound = sound and len(transforms) == wanted and len(set(lists["words"])) == len(lists["words"])
        sound = sound and (lists["parts"] in ((), _NO_HOUR, _DATE_PARTS)) and bool(lists["parts"]) == (kind == "date")
        sound = sound and (lists["words"] == _YES_NO if kind == "yes_no" else kind == "category" or not lists["words"])
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise UserError("the saved description of a table's column is damaged", expected="name, kind, transforms, parts, words")
    return Column(name, kind, transforms, **lists)


def _is_missing_number(cell: Any) -> bool:
    return is_empty(cell) or (isinstance(cell, str) and cell.strip().casefold() in _NO_NUMBER)


def _truth(cell: Any) -> bool | None:
    if isinstance(cell, bool | np.bool_):
        return bool(cell)
    number = as_number(cell)
    if number in (0.0, 1.0):
        return number == 1.0
    return _TRUTH.get(cell.strip().casefold()) if isinstance(cell, str) else None


def _moment(cell: Any) -> datetime | None:
    """A date as a point in time, in UTC where it names no zone; a text must have hyphens, as 2026-01-31 has."""
    if isinstance(cell, str):
        if "-" not in cell.strip()[1:]:
            return None
        try:
            cell = datetime.fromisoformat(cell.strip())
        except ValueError:
            return None
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day, tzinfo=UTC)
    if not isinstance(cell, datetime):
        return None
    return cell.astimezone(UTC) if cell.tzinfo else cell.replace(tzinfo=UTC)


def _guess(name: str, cells: Sequence[Any], where: Where) -> Kind:
    filled = [index for index, cell in enumerate(cells) if not is_empty(cell)]
    if not filled:
        return "empty"
    truths = {_truth(cells[index]) for index in filled}
    if truths == {True, False} or (None not in truths and not any(_is_number(cells[index]) for index in filled)):
        return "yes_no"
    if all(_moment(cells[index]) is not None for index in filled):
        return "date"
    stated = [index for index in filled if not _is_missing_number(cells[index])]
    numeric = sum(_is_number(cells[index]) for index in stated)
    if stated and numeric == len(stated):
        return "number"
    if numeric >= _NEARLY_ALL * len(stated) > 0:
        wrong = [index for index in stated if not _is_number(cells[index])]
        raise UserError(
            f"{where(wrong)}: {cells[wrong[0]]!r} in '{name}' is not a number, and {numeric} of {len(stated)} others are",
            expected="numbers such as 1200 or 0.12, or an empty cell",
            try_=f"mend the cells, or say that '{name}' is a category",
        )
    _refuse_other_spelling(name, cells, stated, where)
    _refuse_free_text(name, [cells[index] for index in filled])
    return "category"


def _is_number(cell: Any) -> bool:
    return as_number(cell) is not None or isinstance(cell, float)  # infinity is a number, which is refused by its own name


def _refuse_other_spelling(name: str, cells: Sequence[Any], stated: list[int], where: Where) -> None:
    """'1,200' may be a thousand or one, '12%' a share or a count: neither is guessed."""
    bare = [_bare(cells[index]) for index in stated]
    if stated and all(text is not None and as_number(text) is not None for text in bare):
        odd = [index for index in stated if as_number(cells[index]) is None]
        raise UserError(
            f"{where(odd)}: {cells[odd[0]]!r} in '{name}' is a number in a spelling that can mean several things",
            expected="plain numbers such as 1200 or 0.12",
            try_=f"write '{name}' without signs of thousands, per cent and money, or say that it is a category",
        )


def _bare(cell: Any) -> str | None:
    if not isinstance(cell, str):
        return None if as_number(cell) is None else str(cell)
    return cell.strip().strip("%$€£¥").replace(",", "").replace("'", "").replace(" ", "")


def _refuse_free_text(name: str, filled: Sequence[Any]) -> None:
    different = len({str(cell) for cell in filled})
    if len(filled) < _FEW_ROWS or different <= _DIFFERENT * len(filled):
        return
    raise UserError(
        f"column '{name}' is free text or a name of each row: {different} different values in {len(filled)} rows, such as "
        f"{str(filled[0])[:60]!r}",
        expected="numbers, categories that come back, or dates such as 2026-01-31",
        try_=f"leave '{name}' out, give it to a text model, or say that it is a category",
    )


def _learn(name: str, kind: str, cells: Sequence[Any], where: Where) -> Column:
    if kind == "number":
        plain = _plain_numbers(name, cells, where)[:, 0]
        known = plain[~np.isnan(plain)]
        return Column(name, "number", (learn_quantiles(known),)) if len(known) else Column(name, "empty")
    if kind == "date":
        every = _date_parts(Column(name, "date", parts=_DATE_PARTS), cells, where)
        every = every[~np.isnan(every[:, 0])]
        if not len(every):
            return Column(name, "empty")
        parts = _DATE_PARTS if np.ptp(every[:, -1]) > 0 else _NO_HOUR
        return Column(name, "date", tuple(learn_quantiles(every[:, place]) for place in range(len(parts))), parts)
    if kind == "yes_no":
        column = Column(name, "yes_no", words=_YES_NO)
        strange = places_of(column, cells)[1]
        if strange:
            word, rows = next(iter(strange.items()))
            raise UserError(f"{where(rows)}: {word!r} in '{name}' is neither yes nor no", expected="yes, no, true, false, 1 or 0")
        return column
    if kind == "category":
        counts = Counter(word for word in _words(Column(name, "category"), cells) if word is not None)
        common = sorted((word for word, count in counts.items() if count >= _LEAST_COUNT), key=lambda word: (-counts[word], word))
        return Column(name, "category", words=tuple(sorted(common[:_LARGEST_VOCABULARY])))
    return Column(name, "empty")


def _plain_numbers(name: str, cells: Sequence[Any], where: Where) -> np.ndarray:
    """The column's own numbers, (n, 1) float64, NaN where there is none."""
    found = [None if _is_missing_number(cell) else as_number(cell) for cell in cells]
    wrong = [index for index, cell in enumerate(cells) if found[index] is None and not _is_missing_number(cell)]
    if wrong:
        raise UserError(
            f"{where(wrong)}: {cells[wrong[0]]!r} in '{name}' is not a number",
            expected="finite numbers such as 1200 or 0.12, or an empty cell",
        )
    return np.array([np.nan if number is None else number for number in found], dtype=np.float64).reshape(-1, 1)


def _date_parts(column: Column, cells: Sequence[Any], where: Where) -> np.ndarray:
    """Days since 1970, month (1 to 12), weekday (0 is Monday) and hour, (n, parts) float64; NaN where there is no date."""
    found = np.full((len(cells), len(column.parts)), np.nan)
    wrong = []
    for index, cell in enumerate(cells):
        if _is_missing_number(cell):
            continue
        moment = _moment(cell)
        if moment is None:
            wrong.append(index)
        else:
            hour = moment.hour + moment.minute / 60
            found[index] = (moment.timestamp() / 86400, moment.month, moment.weekday(), hour)[: len(column.parts)]
    if wrong:
        raise UserError(
            f"{where(wrong)}: {cells[wrong[0]]!r} in '{column.name}' is not a date",
            expected="dates such as 2026-01-31 or 2026-01-31T12:30:00",
        )
    return found


def _words(column: Column, cells: Sequence[Any]) -> list[str | None]:
    """The values as words: 3 and 3.0 are one, text stays as written but for outer space; None where there is none."""
    if column.kind == "yes_no":
        truths = [_truth(cell) for cell in cells]
        return [
            None if is_empty(cell) else str(cell).strip() if truth is None else _YES_NO[truth]
            for cell, truth in zip(cells, truths, strict=True)
        ]
    return [None if is_empty(cell) else _word(cell) for cell in cells]


def _word(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _said(column: Column, cells: Sequence[Any]) -> list[Finding]:
    """What is odd about a training column."""
    if column.kind == "empty":
        return [Finding("empty_column", f"column '{column.name}' has no value in train and is not read", "warning")]
    filled = [cell for cell in cells if not is_empty(cell)]
    if len({str(cell) for cell in filled}) == 1 and len(filled) == len(cells):
        return [Finding("constant_column", f"column '{column.name}' is {filled[0]!r} in every row of train", "warning")]
    if column.kind == "number" and len(cells) >= _FEW_ROWS and is_identifier(column.name, cells):
        message = f"column '{column.name}' looks like a number of the row; a network can only learn rows by heart from it"
        return [Finding("row_number", message, "warning")]
    if column.kind == "category":
        places, strange = places_of(column, cells)
        if strange:
            rows = int((places == OTHER).sum())
            message = f"column '{column.name}': {len(strange)} rare values ({listed(sorted(strange))}) are read as one, 'other'"
            return [Finding("rare_values", message, count=rows)]
    return []
