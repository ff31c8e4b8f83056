"""Which words of texts, or columns of tables, come otherwise in one set of rows than in another.

Source: exact test of two shares: Fisher 1934, section 21.02, two-sided by twice the smaller tail; numbers: Smirnov 1948;
corrected for many tests: Benjamini and Hochberg 1995.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.datasets.labels import is_empty
from tunewright.datasets.numbers import as_number

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_FEWEST = 5  # rows of both sets that have a word or a value, below which no test could tell anything (a guess)
_MANY = 50  # values of a category that are looked at


@dataclass(frozen=True)
class Moved:
    """A word, a value of a column ('job = driver') or a column's numbers: its share or mean in both sets, p and corrected p."""

    name: str
    first: float
    second: float
    p: float
    corrected: float
    share: bool  # of rows, otherwise a mean


def words(first: Sequence[tuple[str, ...]], second: Sequence[tuple[str, ...]]) -> list[Moved]:
    """Words by the share of rows that have them, the least likely to be chance first, and the rows' length in words."""
    sets = [[{word.casefold() for text in row for word in _WORD.findall(text)} for row in rows] for rows in (first, second)]
    counts = [Counter(word for row in rows for word in row) for rows in sets]
    names = sorted(word for word in counts[0] | counts[1] if counts[0][word] + counts[1][word] >= _FEWEST)
    lengths = [[float(sum(len(text.split()) for text in row)) for row in rows] for rows in (first, second)]
    return _corrected(
        [
            *_shares(names, [[one[word] for word in names] for one in counts], (len(first), len(second))),
            _numbers("words in a row", lengths[0], lengths[1]),
        ]
    )


def columns(first: Sequence[tuple[Any, ...]], second: Sequence[tuple[Any, ...]], names: Sequence[str]) -> list[Moved]:
    """Columns of numbers by their distribution, others by the share of each value, and both by their empty cells."""
    found: list[Moved] = []
    for place, name in enumerate(names):
        cells = [[row[place] for row in rows] for rows in (first, second)]
        filled = [[cell for cell in part if not is_empty(cell)] for part in cells]
        gaps = [len(part) - len(kept) for part, kept in zip(cells, filled, strict=True)]
        if sum(gaps) >= _FEWEST:
            found += _shares([f"{name} is empty"], [[gap] for gap in gaps], (len(first), len(second)))
        numbers = [[as_number(cell) for cell in part] for part in filled]
        if all(number is not None for part in numbers for number in part):
            if all(numbers):
                found.append(_numbers(name, *([float(one) for one in part if one is not None] for part in numbers)))
            continue
        counts = [Counter(str(cell).strip() for cell in part) for part in filled]
        values = [value for value, many in (counts[0] + counts[1]).most_common(_MANY) if many >= _FEWEST]
        told = [f"{name} = {value}" for value in values]
        found += _shares(told, [[one[value] for value in values] for one in counts], (len(first), len(second)))
    return _corrected(found)


def _shares(names: Sequence[str], counts: Sequence[Sequence[int]], totals: tuple[int, int]) -> list[Moved]:
    """Of each name how many rows of both sets have it, tested as two shares."""
    from scipy.stats import hypergeom

    if not names or not all(totals):
        return []
    ours, others = (np.array(part) for part in counts)
    drawn = hypergeom(sum(totals), ours + others, totals[0])
    tails = np.minimum(drawn.cdf(ours), drawn.sf(ours - 1))
    values = zip(names, ours / totals[0], others / totals[1], np.minimum(1.0, 2 * tails), strict=True)
    return [Moved(name, float(first), float(second), float(p), 1.0, True) for name, first, second, p in values]


def _numbers(name: str, first: Sequence[float], second: Sequence[float]) -> Moved:
    from scipy.stats import ks_2samp

    p = float(ks_2samp(first, second, method="asymp").pvalue) if len(first) and len(second) else 1.0
    return Moved(name, float(np.mean(first)), float(np.mean(second)), p, 1.0, False)


def _corrected(found: list[Moved]) -> list[Moved]:
    """Sorted by p, with the false discovery rate at which each would be told."""
    found = sorted(found, key=lambda one: one.p)
    rates = np.array([one.p * len(found) / (place + 1) for place, one in enumerate(found)])
    steady = np.minimum(1.0, np.minimum.accumulate(rates[::-1])[::-1]) if len(found) else rates
    return [
        Moved(one.name, one.first, one.second, one.p, float(rate), one.share) for one, rate in zip(found, steady, strict=True)
    ]
