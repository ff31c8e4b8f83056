"""The findings of one source's rows that need no other rows' targets and no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from tunewright.core.types import Finding
from tunewright.datasets.columns import is_identifier
from tunewright.datasets.labels import is_empty
from tunewright.datasets.numbers import as_number
from tunewright.datasets.quality.damage import has_html, has_odd_characters, is_mojibake
from tunewright.datasets.quality.languages import languages_of
from tunewright.datasets.quality.outliers import far_lengths, far_numbers
from tunewright.datasets.quality.personal import KINDS, find_personal
from tunewright.datasets.table import Table

Where = Callable[[Sequence[int]], str]

_STRAYS = 0.05  # of the rows, up to which another language is a stray rather than part of the mixture (a guess)
_SHOWN_LANGUAGES = 6
_FEW_ROWS = 20  # below, nothing is said about how many values differ (a guess)


def look_at_texts(texts: Sequence[tuple[str, ...]], numbers: np.ndarray, where: Where) -> list[Finding]:
    """Personal data, languages, damage and lengths of rows (n) with these numbers in their source."""
    joined = [" \n ".join(row) for row in texts]
    found = _personal(joined, numbers, where) + _languages(joined, numbers, where)
    for code, level, is_so, said in _DAMAGE:
        rows = [index for index, text in enumerate(joined) if is_so(text)]
        if rows:
            found.append(_finding(code, f"{_rows(len(rows), 'hold')} {said}", level, rows, numbers, where))
    return found + _lengths(joined, numbers, where)


def look_at_columns(table: Table, names: Sequence[str]) -> list[Finding]:
    """Columns that say nothing or only name their row, and numbers far from all others."""
    found = []
    for name in names:
        cells = table.columns.get(name, [])
        filled = [cell for cell in cells if not is_empty(cell)]
        if len(cells) < _FEW_ROWS or not filled:
            continue
        if len(filled) == len(cells) and len({str(cell) for cell in filled}) == 1:
            found.append(Finding("constant_column", f"{table.source}: column '{name}' is {filled[0]!r} in every row", "warning"))
        elif is_identifier(name, cells):
            message = (
                f"{table.source}: column '{name}' looks like a number of the row; a model can only learn rows by heart from it"
            )
            found.append(Finding("row_number", message, "warning"))
        else:
            found += _far_numbers(table, name, cells)
    return found


_FIX = "; tunewright check DATA --fix OUT --also"
_DAMAGE: tuple[tuple[str, str, Callable[[str], bool], str], ...] = (
    ("mojibake", "warning", is_mojibake, f"UTF-8 that was read in another encoding, as 'cafÃ©'{_FIX} text mends that"),
    ("html_remains", "note", has_html, f"tags or entities of a web page{_FIX} text takes them out"),
    ("odd_characters", "warning", has_odd_characters, "control characters or the mark of a byte that could not be read"),
)


def _rows(many: int, verb: str) -> str:
    """'1 row holds', '2 rows hold', and the same of be."""
    one, more = ("is", "are") if verb == "are" else (f"{verb}s", verb)
    return f"1 row {one}" if many == 1 else f"{many:,} rows {more}"


def _finding(code: str, message: str, level: str, rows: Sequence[int], numbers: np.ndarray, where: Where) -> Finding:
    told = tuple(int(numbers[row]) for row in rows)
    return Finding(code, f"{message} ({where(rows)})", level, told, len(rows))  # type: ignore[arg-type]


def _personal(texts: Sequence[str], numbers: np.ndarray, where: Where) -> list[Finding]:
    rows: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for index, text in enumerate(texts):
        for kind in {one.kind for one in find_personal(text)}:
            rows[kind].append(index)
    return [
        _finding(
            f"personal_{kind}",
            f"{_rows(len(found), 'seem')} to hold {KINDS[kind]}{_FIX} personal masks it",
            "warning",
            found,
            numbers,
            where,
        )
        for kind, found in rows.items()
        if found
    ]


def _languages(texts: Sequence[str], numbers: np.ndarray, where: Where) -> list[Finding]:
    """The mixture of languages, where there is more than one, and the rows of those that few rows are in."""
    told = languages_of(texts)
    counts = Counter(one for one in told if one is not None)
    if len(counts) < 2:
        return []
    rare = {name for name, many in counts.items() if many <= _STRAYS * len(texts)}
    rows = [index for index, one in enumerate(told) if one in rare]
    shown = ", ".join(f"{name} {many:,}" for name, many in counts.most_common(_SHOWN_LANGUAGES))
    unknown = len(texts) - sum(counts.values())
    mixture = f"languages of {len(texts):,} rows: {shown}" + (f", not told {unknown:,}" if unknown else "")
    if not rows:
        return [Finding("languages", mixture, "note", count=len(counts))]
    stray = f"{mixture}; {_rows(len(rows), 'are')} in a language that few rows are in"
    return [_finding("languages", stray, "warning" if len(counts) - len(rare) == 1 else "note", rows, numbers, where)]


def _lengths(texts: Sequence[str], numbers: np.ndarray, where: Where) -> list[Finding]:
    far, (low, high) = far_lengths(texts)
    if not len(far):
        return []
    message = f"{_rows(len(far), 'are')} far shorter or longer than the others ({low:,} to {high:,} characters)"
    return [_finding("odd_length", message, "note", far.tolist(), numbers, where)]


def _far_numbers(table: Table, name: str, cells: Sequence[object]) -> list[Finding]:
    known = [as_number(cell) for cell in cells]
    if sum(value is not None for value in known) < len(cells) / 2:
        return []
    values = np.array([np.nan if value is None else value for value in known])
    far = far_numbers(values)
    if not len(far):
        return []
    inner = np.delete(values, far)
    more = " and the like" if len(set(values[far])) > 1 else ""
    message = (
        f"column '{name}': {_rows(len(far), 'hold')} {values[far[0]]:g}{more}, far "
        f"from the others ({np.nanmin(inner):g} to {np.nanmax(inner):g}); a code for a missing value would be learned as a number"
    )
    return [_finding("far_number", message, "warning", far.tolist(), np.array(table.rows), table.where)]
