"""Comparing two sequences with the bits of whole numbers: one operation for all places of the first.

Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited"; Hyyrö 2003, "A bit-vector algorithm for computing
Levenshtein and Damerau edit distances" (after Myers 1999).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def common_length(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence."""
    places, every = _places(first), (1 << len(first)) - 1
    open_ = every
    for item in second:
        hits = open_ & places.get(item, 0)
        open_ = ((open_ + hits) | (open_ - hits)) & every
    return len(first) - open_.bit_count()


def edit_distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Least number of insertions, deletions and replacements that turn one into the other."""
    if not first:
        return len(second)
    places, every, last = _places(first), (1 << len(first)) - 1, 1 << (len(first) - 1)
    up, down, distance = every, 0, len(first)  # where the column's differences are +1 and -1
    for item in second:
        hits = places.get(item, 0)
        diagonal = (((hits & up) + up) ^ up) | hits | down
        right_up, right_down = (down | ~(diagonal | up)) & every, up & diagonal
        distance += bool(right_up & last) - bool(right_down & last)
        right_up, right_down = (right_up << 1) | 1, right_down << 1
        up, down = (right_down | ~(diagonal | right_up)) & every, right_up & diagonal & every
    return distance


def _places(items: Sequence[Hashable]) -> dict[Hashable, int]:
    """Where each item stands, one bit per place."""
    found: dict[Hashable, int] = {}
    for place, item in enumerate(items):
        found[item] = found.get(item, 0) | 1 << place
    return found
