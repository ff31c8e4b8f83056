"""Texts that are the same, or nearly: candidates by MinHash in time that grows with the data, each confirmed exactly.

Source: Broder 1997, On the resemblance and containment of documents, sections 2 and 3 (shingles, resemblance, min-wise
sketches); Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4 (bands of a signature).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

# Share of common character 3-shingles from which two texts are near-duplicates. On the 10,003 questions of Banking77's
# train set 0.85 links 240 pairs, of which one has two intents; 0.80 links 509 pairs, of which 13 have. One slip of the
# keyboard links 16 pairs more, all of them true.
THRESHOLD = 0.85
_SHINGLE = 3
_SLIP_LENGTH = 20  # characters; shorter texts that differ in one letter may well mean different things
_BANDS, _ROWS = 24, 4  # two texts of resemblance 0.7 are overlooked with a chance of 1 in 700, at the threshold never
_COMPARED = 32  # candidates looked at per row and band; boilerplate does not make the search quadratic
_CHUNK = 1 << 20  # characters hashed at once, which bounds the memory
_PRIME = np.uint64(2**31 - 1)
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


@lru_cache(maxsize=1024)
def _shingles(text: str) -> frozenset[str]:
    padded = f" {text} "
    return frozenset(padded[start : start + _SHINGLE] for start in range(max(len(padded) - _SHINGLE + 1, 1)))


def resemblance(first: str, second: str) -> float:
    """Common shingles as a share of all shingles of two normalised texts (the Jaccard coefficient)."""
    a, b = _shingles(first), _shingles(second)
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def one_slip(first: str, second: str) -> bool:
    """One letter more, less, other, or swapped with its neighbour: a typing error. Digits are not: they name things."""
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    first, second = first[start:], second[start:]
    while first and second and first[-1] == second[-1]:
        first, second = first[:-1], second[:-1]
    small = max(len(first), len(second)) <= 1 or (len(first) == 2 and first == second[::-1])
    return small and not any(character.isdigit() for character in first + second)


def are_alike(first: str, second: str, threshold: float = THRESHOLD) -> bool:
    """Whether two normalised texts are near-duplicates."""
    if resemblance(first, second) >= threshold:
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


def _hashed(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A number for every shingle of every text, (shingles,), and where each text's begin, (n,)."""
    padded = [f" {text} ".ljust(_SHINGLE) for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded])
    ends = np.cumsum(lengths)
    mixed = np.zeros(len(codes) - _SHINGLE + 1, dtype=np.uint64)
    for offset in range(_SHINGLE):
        mixed = (mixed * np.uint64(1_000_003) + codes[offset : offset + len(mixed)]) % _PRIME
    crosses = np.zeros(len(codes), dtype=bool)
    for offset in range(1, _SHINGLE):
        crosses[ends - offset] = True
    counts = lengths - _SHINGLE + 1
    return mixed[~crosses[: len(mixed)]], np.cumsum(counts) - counts


def signatures(texts: Sequence[str]) -> np.ndarray:
    """The MinHash signature of each normalised text, (n, bands x rows) uint64; the same texts give the same numbers always."""
    generator = np.random.default_rng(20_240_229)
    factors = generator.integers(1, int(_PRIME), size=_BANDS * _ROWS, dtype=np.uint64)
    terms = generator.integers(0, int(_PRIME), size=_BANDS * _ROWS, dtype=np.uint64)
    found = []
    for chunk in _chunks(texts):
        hashed, starts = _hashed(chunk)
        columns = [np.minimum.reduceat((hashed * a + b) % _PRIME, starts) for a, b in zip(factors, terms, strict=True)]
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


def near_groups(texts: Sequence[tuple[str, ...]], threshold: float = THRESHOLD) -> np.ndarray:
    """Group ids (n,) of texts (n,) that are equal after normalising or nearly like a member of their group."""
    if not len(texts):
        return np.zeros(0, dtype=np.int64)
    same = same_groups([normalise(text) for text in texts])
    distinct = list(dict.fromkeys(normalise(text) for text in texts))
    parents = list(range(len(distinct)))
    for bucket in _buckets(signatures(distinct)):
        for place, index in enumerate(bucket):
            for other in bucket[max(place - _COMPARED, 0) : place]:
                first, second = _root(parents, other), _root(parents, index)
                if first != second and are_alike(distinct[other], distinct[index], threshold):
                    parents[max(first, second)] = min(first, second)
    roots = [_root(parents, index) for index in range(len(distinct))]
    return same_groups([roots[index] for index in same])
