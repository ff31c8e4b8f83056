"""Texts that are the same, or nearly: candidates by MinHash in time that grows with the data, each confirmed exactly.

Source: Broder 1997, On the resemblance and containment of documents (shingles, resemblance, min-wise
sketches); Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4 (bands of a signature).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import compress

import numpy as np

# Share of common shingles (runs of characters) from which two texts are near-duplicates. On the 10,003 questions of
# Banking77's train set 0.85 links 240 pairs, of which one has two intents; 0.80 links 509 pairs, of which 13 have. One slip
# of the keyboard links 16 pairs more, all of them true.
THRESHOLD = 0.85
_SHORT, _LONG = 3, 9  # characters of a shingle; long texts have nearly all short shingles in common
_LONG_TEXT = 200  # characters from which long shingles are compared; up to twice as many short ones are, too (a guess)
_SLIP_LENGTH = 20  # characters; shorter texts that differ in one letter may well mean different things
_BANDS, _ROWS = 24, 4  # two texts of resemblance 0.7 are overlooked with a chance of 1 in 700, at the threshold never
_LIKELY = 0.5  # share of the signatures that must agree before two long texts are compared in full
_COMPARED = 32  # candidates looked at per row and band; boilerplate does not make the search quadratic
_CHUNK = 1 << 18  # characters hashed at once, which bounds the memory
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio (Knuth, volume 3, section 6.4)
_WORD = re.compile(r"\w+")


def normalise(texts: Sequence[str]) -> str:
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


def resemblance(first: str, second: str, size: int = _SHORT) -> float:
    """Common shingles as a share of all shingles of two normalised texts (the Jaccard coefficient)."""
    a, b = _shingles(first, size), _shingles(second, size)
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def one_slip(first: str, second: str) -> bool:
    """One letter more, less, other, or swapped with its neighbour: a typing error. Digits are not: they name things."""
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


def are_alike(first: str, second: str, size: int = _SHORT) -> bool:
    """Whether two normalised texts are near-duplicates by shingles of this size."""
    if resemblance(first, second, size) >= THRESHOLD:
        return True
    return min(len(first), len(second)) >= _SLIP_LENGTH and one_slip(first, second)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for stop, text in enumerate(texts):
        if size and size + len(text) > _CHUNK:
            yield texts[start:stop]
            start, size = stop, 0
        size += len(text)
    yield texts[start:]


def _hashed(texts: Sequence[str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """A number for every shingle of every text, (shingles,) uint32, and where each text's begin, (n,)."""
    padded = [f" {text} ".ljust(size) for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded])
    mixed = np.zeros(len(codes) - size + 1, dtype=np.uint64)
    for offset in range(size):
        mixed = mixed * _MULTIPLIER + codes[offset : offset + len(mixed)]
    mixed = ((mixed ^ (mixed >> np.uint64(29))) * _MULTIPLIER) >> np.uint64(32)
    crosses = np.zeros(len(codes), dtype=bool)
    for offset in range(1, size):
        crosses[np.cumsum(lengths) - offset] = True
    counts = lengths - size + 1
    return mixed[~crosses[: len(mixed)]].astype(np.uint32), np.cumsum(counts) - counts


def signatures(texts: Sequence[str], size: int = _SHORT) -> np.ndarray:
    """The MinHash signature of each normalised text, (n, bands x rows) uint32; the same texts give the same numbers always."""
    generator = np.random.default_rng(20_240_229)
    factors = generator.integers(0, 2**31, size=_BANDS * _ROWS, dtype=np.uint32) * 2 + 1  # odd, so that each is a permutation
    terms = generator.integers(0, 2**32, size=_BANDS * _ROWS, dtype=np.uint32)
    found = []
    for chunk in _chunks(texts):
        hashed, starts = _hashed(chunk, size)
        columns = [np.minimum.reduceat(hashed * a + b, starts) for a, b in zip(factors, terms, strict=True)]
        found.append(np.stack(columns, axis=1))
    return np.concatenate(found)


def _root(parents: list[int], item: int) -> int:
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


def _buckets(signature: np.ndarray) -> Iterator[list[int]]:
    """Texts that agree in a whole band, in their order."""
    for band in range(_BANDS):
        part = np.ascontiguousarray(signature[:, band * _ROWS : (band + 1) * _ROWS])
        members = defaultdict(list)
        for index, key in enumerate(part.view(f"V{part.itemsize * _ROWS}").ravel().tolist()):
            members[key].append(index)
        yield from (found for found in members.values() if len(found) > 1)


def _link(texts: Sequence[str], places: Sequence[int], parents: list[int], size: int) -> None:
    """Join the texts at these places that are alike; ``parents`` is the forest of groups (union and find)."""
    if not places:
        return
    signature = signatures([texts[place] for place in places], size)
    for bucket in _buckets(signature):
        for position, index in enumerate(bucket):
            before = bucket[max(position - _COMPARED, 0) : position]
            others: Iterable[int] = before
            if size == _LONG:  # where comparing in full costs more than asking the signatures first
                others = compress(before, (signature[before] == signature[index]).mean(axis=1) >= _LIKELY)
            for other in others:
                first, second = _root(parents, places[other]), _root(parents, places[index])
                if first != second and are_alike(texts[places[other]], texts[places[index]], size):
                    parents[max(first, second)] = min(first, second)


def near_groups(texts: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Group ids (n,) of texts (n,) that are equal after normalising or nearly like a member of their group."""
    normal = [normalise(text) for text in texts]
    same = same_groups(normal)
    distinct = list(dict.fromkeys(normal))
    parents = list(range(len(distinct)))
    _link(distinct, [place for place, text in enumerate(distinct) if len(text) < 2 * _LONG_TEXT], parents, _SHORT)
    _link(distinct, [place for place, text in enumerate(distinct) if len(text) >= _LONG_TEXT], parents, _LONG)
    roots = [_root(parents, index) for index in range(len(distinct))]
    return same_groups([roots[index] for index in same])
