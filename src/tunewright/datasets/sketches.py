"""MinHash: a short sketch of each text by which a few texts that may be nearly like it are found, many at once.

Source: Broder 1997, On the resemblance and containment of documents (shingles, resemblance, min-wise sketches); Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, section 3.4 (bands of a signature).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

SHORT, LONG = 3, 9  # characters of a shingle; long texts have nearly all short shingles in common
_BANDS, _ROWS = 24, 4  # two texts of resemblance 0.7 are overlooked with a chance of 1 in 700, at the threshold never
_NEAREST = 32  # earlier members looked at per row and band; a template does not make the search quadratic
_FEW = 4  # bands; two texts at the threshold share fewer with a chance of 1 in 16,000
MOST = 64  # texts that a row is compared with, those that share most bands with it (a guess)
_CHUNK = 1 << 18  # characters hashed at once, which bounds the memory
_AT_ONCE = 1 << 9  # rows whose candidates are gathered at once
_PAIRED = 1 << 22  # characters of pairs compared at once
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio (Knuth, volume 3, section 6.4)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for stop, text in enumerate(texts):
        if size and size + len(text) > _CHUNK:
            yield texts[start:stop]
            start, size = stop, 0
        size += len(text)
    yield texts[start:]


def _hashed(texts: Sequence[str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """A number for every shingle of every text, (shingles,) uint64, and how many each has, (n,)."""
    padded = [f" {text} ".ljust(size) for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded])
    mixed = np.zeros(len(codes) - size + 1, dtype=np.uint64)
    for offset in range(size):
        mixed = mixed * _MULTIPLIER + codes[offset : offset + len(mixed)]
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MULTIPLIER
    crosses = np.zeros(len(codes), dtype=bool)
    for offset in range(1, size):
        crosses[np.cumsum(lengths) - offset] = True
    return mixed[~crosses[: len(mixed)]], lengths - size + 1


def signatures(texts: Sequence[str], size: int = SHORT) -> np.ndarray:
    """The MinHash signature of each normalized text, (n, bands x rows) uint32; the same texts give the same numbers always."""
    generator = np.random.default_rng(20_240_229)
    factors = generator.integers(0, 2**31, size=_BANDS * _ROWS, dtype=np.uint32) * 2 + 1  # odd, so that each is a permutation
    terms = generator.integers(0, 2**32, size=_BANDS * _ROWS, dtype=np.uint32)
    found = np.empty((len(texts), _BANDS * _ROWS), dtype=np.uint32)
    done = 0
    for chunk in _chunks(texts):
        mixed, counts = _hashed(chunk, size)
        hashed, starts = (mixed >> np.uint64(32)).astype(np.uint32), np.cumsum(counts) - counts
        for column, (a, b) in enumerate(zip(factors, terms, strict=True)):
            found[done : done + len(chunk), column] = np.minimum.reduceat(hashed * a + b, starts)
        done += len(chunk)
    return found


@dataclass(frozen=True)
class Candidates:
    """Pairs of places (``earlier`` < ``row``) that are worth comparing, and which rows may have a likely one more, (rows,)."""

    row: np.ndarray
    earlier: np.ndarray
    cut: np.ndarray

    def where(self, kept: np.ndarray) -> Candidates:
        return Candidates(self.row[kept], self.earlier[kept], self.cut)


@dataclass(frozen=True)
class Buckets:
    """Texts that agree in a whole band, in their order: where each stands, and where its bucket begins, (n, bands)."""

    order: np.ndarray  # (bands, n)
    place: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, signature: np.ndarray) -> Buckets:
        n = len(signature)
        order, place, start = (np.empty(shape, dtype=np.int32) for shape in ((_BANDS, n), (n, _BANDS), (n, _BANDS)))
        for band in range(_BANDS):
            key = np.zeros(n, dtype=np.uint64)  # that two keys meet by chance costs a comparison, no more
            for row in range(band * _ROWS, (band + 1) * _ROWS):
                key = (key ^ signature[:, row]) * _MULTIPLIER
                key ^= key >> np.uint64(29)
            order[band] = np.argsort(key, kind="stable")
            key = key[order[band]]
            begins = np.maximum.accumulate(np.where(np.diff(key, prepend=~key[:1]) != 0, np.arange(n), 0))
            place[order[band], band], start[order[band], band] = np.arange(n), begins
        return cls(order, place, start)

    def candidates(self) -> Iterator[Candidates]:
        """The likeliest of the earlier members of each row's buckets, at most ``MOST``: those that share most bands."""
        for first in range(0, len(self.place), _AT_ONCE):
            yield self._candidates(first, min(first + _AT_ONCE, len(self.place)))

    def _candidates(self, first: int, stop: int) -> Candidates:
        n, before = len(self.place), self.place[first:stop] - self.start[first:stop]
        row, earlier = self._nearest(first, np.minimum(before, _NEAREST).ravel())
        shared = (self.start[row] == self.start[earlier]).sum(axis=1)
        ranked = np.sort(((row - first) * (_BANDS + 1) + _BANDS - shared) * n + (n - 1 - earlier))  # most shared, then nearest
        row, earlier = ranked // (n * (_BANDS + 1)), n - 1 - ranked % n
        many = np.bincount(row, minlength=stop - first)
        kept = np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many) < MOST
        shared = _BANDS - ranked // n % (_BANDS + 1)
        cut = np.bincount(row[~kept & (shared >= _FEW)], minlength=stop - first) > 0
        return Candidates(row[kept] + first, earlier[kept], cut | ((before > _NEAREST).sum(axis=1) >= _FEW))

    def _nearest(self, first: int, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distinct pairs of each row and that many members before it in each bucket; ``counts`` (rows x bands,)."""
        at = np.repeat(np.arange(len(counts)), counts)
        back = np.arange(1, len(at) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
        row, band = at // _BANDS + first, at % _BANDS
        pairs = np.sort(row * len(self.place) + self.order[band, self.place[row, band] - back])
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # several times as fast as np.unique, which hashes
        return pairs // len(self.place), pairs % len(self.place)

    def mixed(self, groups: np.ndarray) -> np.ndarray:
        """Whether any bucket of a row has members of more than one group, (n,)."""
        found = np.zeros(len(groups), dtype=bool)
        for band in range(_BANDS):
            own = groups[self.order[band]]
            starts, bucket = np.unique(self.start[self.order[band], band], return_inverse=True)
            several = np.minimum.reduceat(own, starts) != np.maximum.reduceat(own, starts)
            found[self.order[band]] |= several[bucket]
        return found


@dataclass(frozen=True)
class Overlaps:
    """Of pairs of texts: shingles in common, and how many each has, (pairs,)."""

    common: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @cached_property
    def resemblance(self) -> np.ndarray:
        return np.asarray(self.common / (self.first + self.second - self.common))


def overlaps(texts: Sequence[str], size: int, first: np.ndarray, second: np.ndarray) -> Overlaps:
    """Shingles in common, counted by numbers of 62 bits: two shingles of a pair have one number once in 10**15 pairs."""
    named, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    codes, counts = [], []
    for chunk in _chunks([texts[place] for place in named.tolist()]):
        mixed, many = _hashed(chunk, size)
        codes.append((mixed >> np.uint64(2)).astype(np.int64))
        counts.append(many)
    columns, ends = np.concatenate(codes), np.cumsum(np.concatenate([[0], *counts]))
    sets = csr_array((np.ones(len(columns), dtype=np.int8), columns, ends), shape=(len(named), 1 << 62))
    sets.sum_duplicates()
    sets.data[:] = 1
    a, b = places[: len(first)], places[len(first) :]
    sizes, common = np.diff(sets.indptr), np.diff(sets[a].multiply(sets[b]).tocsr().indptr)
    return Overlaps(common, sizes[a], sizes[b])


def batches(lengths: np.ndarray, pairs: Candidates) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of places, so many at once that their texts bound the memory; ``lengths`` of all texts, in characters."""
    turns = np.cumsum(lengths[pairs.row] + lengths[pairs.earlier]) // _PAIRED
    for part in np.split(np.arange(len(turns)), np.flatnonzero(np.diff(turns)) + 1):
        if len(part):
            yield pairs.row[part], pairs.earlier[part]
