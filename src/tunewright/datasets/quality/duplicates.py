"""Texts that are the same, or nearly: candidates by MinHash in time that grows with the data, each confirmed exactly.

Source: Broder 1997, On the resemblance and containment of documents (shingles, resemblance).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tunewright.datasets.sketches import LONG, SHORT, Buckets, Candidates, batches, overlaps, signatures

# Share of common shingles (runs of characters) from which two texts are near-duplicates. On the 10,003 questions of
# Banking77's train set 0.85 links 240 pairs, of which one has two intents; 0.80 links 509 pairs, of which 13 have. One slip
# of the keyboard links 16 pairs more, all of them true.
THRESHOLD = 0.85
_LONG_TEXT = 200  # characters from which long shingles are compared; up to twice as many short ones are, too (a guess)
_SLIP_LENGTH = 20  # characters; shorter texts that differ in one letter may well mean different things
_LIKELY = 0.5  # share of the signatures that must agree before two long texts are compared in full
_WORD, _NO_DIGIT = re.compile(r"\w+"), re.compile(r"\D+")


def normalize(texts: Sequence[str]) -> str:
    """The words of a row in one case, without punctuation; what has no words stays as it is."""
    parts = []
    for text in texts:
        folded = unicodedata.normalize("NFKC", text).casefold()
        parts.append(" ".join(_WORD.findall(folded)) or folded.strip())
    return "\n".join(parts)


def same_groups(keys: Sequence[object]) -> np.ndarray:
    """Group ids (n,): equal keys have equal ids, counted in order of first appearance."""
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)


@lru_cache(maxsize=2048)
def _shingles(text: str, size: int) -> frozenset[str]:
    padded = f" {text} "
    return frozenset(padded[start : start + size] for start in range(max(len(padded) - size + 1, 1)))


def resemblance(first: str, second: str, size: int = SHORT) -> float:
    """Common shingles as a share of all shingles of two normalized texts (the Jaccard coefficient)."""
    a, b = _shingles(first, size), _shingles(second, size)
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def one_slip(first: str, second: str) -> bool:
    """One letter more, less, other, or swapped with its neighbor: a typing error. Digits are not: they name things."""
    if abs(len(first) - len(second)) > 1:
        return False
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    first, second = first[start:], second[start:]
    while first and second and first[-1] == second[-1]:
        first, second = first[:-1], second[:-1]
    small = max(len(first), len(second)) <= 1 or (len(first) == 2 and first == second[::-1])
    return small and not any(character.isdigit() for character in first + second)


def are_alike(first: str, second: str, size: int = SHORT) -> bool:
    """Whether two normalized texts are near-duplicates by shingles of this size."""
    if resemblance(first, second, size) >= THRESHOLD:
        return True
    return min(len(first), len(second)) >= _SLIP_LENGTH and one_slip(first, second)


def _root(parents: list[int], item: int) -> int:
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


def _may_be_alike(texts: Sequence[str], size: int, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which pairs of places are near-duplicates or may be one slip apart, (pairs,): ``are_alike`` says the last word."""
    found = overlaps(texts, size, rows, others)
    # one slip changes the shingles that reach over a letter and its neighbor: size + 1 of each text, at most
    slips = np.flatnonzero(found.common >= np.maximum(found.first, found.second) - size - 1)
    likely: np.ndarray = found.resemblance >= THRESHOLD
    for place in slips[~likely[slips]].tolist():
        first, second = texts[rows[place]], texts[others[place]]
        likely[place] = abs(len(first) - len(second)) <= 1 and _digits(first) == _digits(second)
    return likely


@lru_cache(maxsize=1 << 14)
def _digits(text: str) -> str:
    return _NO_DIGIT.sub("", text)


def _likely(signature: np.ndarray, found: Candidates, size: int) -> Candidates:
    """Of long texts, those whose signatures agree: comparing them in full costs more."""
    if size == SHORT:
        return found
    return found.where((signature[found.row] == signature[found.earlier]).mean(axis=1) >= _LIKELY)


def _link(texts: Sequence[str], size: int, parents: list[int], places: Sequence[int]) -> list[int]:
    """Join the texts at these places that are alike; the places of those that were not compared with all that might be.

    ``parents`` is the forest of groups (union and find).
    """
    if not places:
        return []
    own, cut = [texts[place] for place in places], []
    signature, lengths = signatures(own, size), np.array([len(text) for text in own])
    buckets = Buckets.of(signature)
    for found in buckets.candidates():
        cut.append(found.cut)
        for rows, others in batches(lengths, _likely(signature, found, size)):
            alike = _may_be_alike(own, size, rows, others)
            for row, other in zip(rows[alike].tolist(), others[alike].tolist(), strict=True):
                first, second = _root(parents, places[other]), _root(parents, places[row])
                if first != second and are_alike(own[other], own[row], size):
                    parents[max(first, second)] = min(first, second)
    groups = np.array([_root(parents, place) for place in places])
    return [places[row] for row in np.flatnonzero(np.concatenate(cut) & buckets.mixed(groups)).tolist()]


@dataclass(frozen=True)
class Near:
    """Group ids of texts that are nearly alike, and whether a text was not compared with all that might be like it, (n,)."""

    groups: np.ndarray
    unsure: np.ndarray


def near(texts: Sequence[tuple[str, ...]]) -> Near:
    """Groups of texts (n,) that are equal after normalizing or nearly like a member of their group.

    A text is compared with at most ``MOST`` others: the time grows with the number of texts whatever they have in common.
    """
    normal = [normalize(text) for text in texts]
    same = same_groups(normal)
    distinct = list(dict.fromkeys(normal))
    parents = list(range(len(distinct)))
    unsure = np.zeros(len(distinct), dtype=bool)
    short = [place for place, text in enumerate(distinct) if len(text) < 2 * _LONG_TEXT]
    long = [place for place, text in enumerate(distinct) if len(text) >= _LONG_TEXT]
    for size, places in ((SHORT, short), (LONG, long)):
        unsure[_link(distinct, size, parents, places)] = True
    roots = np.array([_root(parents, index) for index in range(len(distinct))], dtype=np.int64)
    return Near(same_groups(roots[same].tolist()), unsure[same])


def near_groups(texts: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Group ids (n,) of texts (n,) that are equal after normalizing or nearly like a member of their group."""
    return near(texts).groups
