"""Duplicates: all that are planted are found, and texts that differ are left alone."""

from __future__ import annotations

import csv
import gzip
import random
import time
from pathlib import Path

import numpy as np
import pytest

from tests.data.examples import sentence
from tunewright.datasets import sketches
from tunewright.datasets.quality import duplicates
from tunewright.datasets.quality.duplicates import (
    THRESHOLD,
    near,
    near_groups,
    normalize,
    one_slip,
    resemblance,
    same_groups,
    signatures,
)

BANKING = Path(__file__).parents[2] / "../shared/data/banking77/train.csv.gz"


def banking() -> tuple[list[str], list[str]]:
    if not BANKING.is_file():
        pytest.skip("the shared data folder is not here")
    with gzip.open(BANKING, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def groups_of(texts: list[str]) -> list[int]:
    return near_groups([(text,) for text in texts]).tolist()


def spoilt(text: str, way: int) -> str:
    """A near-duplicate: other case, other punctuation, a typing error, one small word more, two letters swapped."""
    middle = len(text) // 2
    swapped = text[:middle] + text[middle + 1] + text[middle] + text[middle + 2 :]
    return [text.upper(), f"“{text}”!!", text[:middle] + text[middle + 1 :], f"{text} ok", swapped][way % 5]


def test_ten_exact_and_ten_near_duplicates_are_found_and_nothing_else() -> None:
    originals = [sentence(number) for number in range(300)]
    planted = originals[:10] + [spoilt(originals[number], number) for number in range(10, 20)]
    texts = originals + planted
    order = list(range(len(texts)))
    random.Random(3).shuffle(order)
    shuffled = groups_of([texts[place] for place in order])
    found = dict(zip(order, shuffled, strict=True))
    for place, partner in enumerate(range(20), start=300):
        assert found[place] == found[partner], texts[place]
    assert len(set(shuffled)) == 300


def test_texts_that_differ_in_one_word_that_matters_stay_apart() -> None:
    texts = [
        "my card was declined",
        "my cash was declined",
        "my card has arrived",
        "yes",
        "no",
        "",
        "?",
        "!",
        "2 + 2",
        "2 + 3",
        "可以",
        "不可以",
    ]
    assert groups_of(texts) == list(range(len(texts)))


def test_pairs_are_compared_as_a_whole() -> None:
    long = "a sentence that is long enough to be recognized"
    assert near_groups([(long, "b"), (long, "c d e f g h i j k"), (long, "B!")]).tolist() == [0, 1, 0]
    assert near_groups([]).tolist() == []


def test_the_same_groups_in_every_order_of_the_rows() -> None:
    texts = [sentence(number) for number in range(100)] + [spoilt(sentence(number), number) for number in range(40)]
    straight = groups_of(texts)
    backwards = groups_of(texts[::-1])[::-1]
    assert same_groups(straight).tolist() == same_groups(backwards).tolist()


def test_a_signature_estimates_the_resemblance() -> None:
    first, second = (
        normalize([text])
        for text in ("one sentence about whales and their long songs", "one sentence about whales and their songs")
    )
    a, b = signatures([first, second])
    exact = resemblance(first, second)
    assert 0.5 < exact < 1
    assert abs((a == b).mean() - exact) < 4 * np.sqrt(exact * (1 - exact) / len(a))
    assert (signatures([second, first])[::-1] == np.stack([a, b])).all()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("where is my card", "where s my card", True),
        ("a transfer", "a transger", True),
        ("a transfer", "a trasnfer", True),
        ("transfers", "transfer", True),
        ("same", "same", True),
        ("my card", "my cash", False),
        ("order 5", "order 6", False),
        ("order 5", "order 56", False),
        ("ab", "ba", True),
        ("abc", "cba", False),
    ],
)
def test_one_slip_of_the_keyboard(first: str, second: str, same: bool) -> None:
    assert one_slip(first, second) is one_slip(second, first) is same


def test_resemblance_by_hand() -> None:
    # ' ab ' has the shingles ' ab' and 'ab '; ' abc ' has ' ab', 'abc', 'bc '
    assert resemblance("ab", "abc") == 1 / 4
    assert resemblance("ab", "ab") == 1


@pytest.mark.real_data
def test_banking_all_pairs_above_the_threshold_are_found_and_few_of_them_are_false() -> None:
    """Against a search of all pairs among the first 2,500 questions (same neighbors, one to a few intents)."""
    from sklearn.feature_extraction.text import CountVectorizer

    texts, intents = (column[:2500] for column in banking())
    words = [normalize([text]) for text in texts]
    counts = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, lowercase=False).fit_transform(
        [f" {text} " for text in words]
    )
    common = (counts @ counts.T).toarray()
    sizes = np.diag(common)
    alike = common / (sizes[:, None] + sizes[None, :] - common) >= THRESHOLD
    pairs = np.argwhere(np.triu(alike, 1))
    found = near_groups([(text,) for text in texts])
    assert len(pairs) > 30
    assert all(found[first] == found[second] for first, second in pairs)
    different = [pair for pair in pairs.tolist() if intents[pair[0]] != intents[pair[1]]]
    assert len(different) <= len(pairs) / 20


@pytest.mark.real_data
def test_ten_thousand_short_texts_take_seconds_and_form_no_large_group() -> None:
    texts, intents = banking()
    started = time.process_time()
    found = near_groups([(text,) for text in texts])
    assert time.process_time() - started < 10
    sizes = np.bincount(found)
    assert 100 < (sizes > 1).sum() < 400
    assert sizes.max() <= 8
    mixed = sum(len({intents[row] for row in np.flatnonzero(found == group)}) > 1 for group in np.flatnonzero(sizes > 1))
    assert mixed <= 3


def test_long_texts_are_told_apart_and_their_copies_found() -> None:
    generator = random.Random(0)
    words = [word for number in range(576) for word in sentence(number).split()]
    long = [" ".join(generator.choices(words, k=400)) for _ in range(300)]
    copies = [text.replace(" behind ", " in front of ", 3) for text in long[:10]]
    started = time.process_time()
    found = groups_of(long + copies)
    assert time.process_time() - started < 10
    assert found == [*range(300), *range(10)]


def test_lengths_on_both_sides_of_the_border_are_compared() -> None:
    """From 200 characters on long shingles are compared, below 400 short ones: no pair falls between the two."""
    for length in (196, 198, 200, 396, 398, 400):
        text = " ".join(sentence(number) for number in range(20))[:length]
        assert groups_of([text, text + " now"]) == [0, 0]


def test_boilerplate_does_not_make_the_search_quadratic() -> None:
    letter = "dear customer, thank you for your order. it will be sent to you within three working days. your number is "
    started = time.process_time()
    found = groups_of([f"{letter}{number}" for number in range(4000)])
    assert time.process_time() - started < 10
    assert len(set(found)) == 1


def templated(many: int) -> list[tuple[str]]:
    return [(f"message number {number} about {number % 97} things",) for number in range(many)]


def compared(many: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Pairs of so many templated rows that are compared in full."""
    pairs = [0]
    original = sketches.overlaps

    def counted(texts: list[str], size: int, first: np.ndarray, second: np.ndarray) -> sketches.Overlaps:
        pairs[0] += len(first)
        return original(texts, size, first, second)

    monkeypatch.setattr(duplicates, "overlaps", counted)
    near(templated(many))
    return pairs[0]


def test_comparisons_of_templated_rows_grow_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (compared(rows, monkeypatch) for rows in (1000, 4000))
    assert many <= 4000 * sketches.MOST
    assert many / few <= 4.5


def test_without_the_bounds_they_would_grow_with_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "_NEAREST", 10**6)
    monkeypatch.setattr(sketches, "MOST", 10**6)
    few, many = (compared(rows, monkeypatch) for rows in (200, 800))
    assert many / few > 10


def test_rows_that_may_be_overlooked_are_told_and_only_those() -> None:
    rows = templated(3000)
    assert near(rows).unsure.sum() > 2000
    assert not near(rows[:30]).unsure.any()
    letter = "dear customer, thank you for your order. it will be sent to you within three working days. your number is "
    assert not near([(f"{letter}{number}",) for number in range(3000)]).unsure.any()  # they are one group, none is overlooked
    assert not near([(sentence(number),) for number in range(576)]).unsure.any()


def all_pairs(texts: list[str]) -> list[int]:
    """Groups by comparing every text with every other."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import CountVectorizer

    counts = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, lowercase=False, dtype=np.int32).fit_transform(
        [f" {text} " for text in texts]
    )
    common = (counts @ counts.T).toarray()
    sizes = np.diag(common)
    share = common / (sizes[:, None] + sizes[None, :] - common)
    first, second = np.nonzero(np.triu(share >= 0.4, 1))  # one slip changes four of twenty shingles at most
    alike = [
        share[a, b] >= THRESHOLD or (min(len(texts[a]), len(texts[b])) >= 20 and one_slip(texts[a], texts[b]))
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    edges = coo_array((np.ones(sum(alike)), (first[alike], second[alike])), shape=(len(texts), len(texts)))
    return connected_components(edges, directed=False)[1].tolist()


def ordinary(many: int, seed: int) -> list[str]:
    """Distinct texts of ordinary words, a third of which are nearly like another."""
    generator = random.Random(seed)
    words = sorted({word for number in range(576) for word in sentence(number).split()})
    texts = [" ".join(generator.choices(words, k=generator.randint(4, 20))) for _ in range(2 * many // 3)]
    texts += [spoilt(text, generator.randrange(5)) for text in generator.choices(texts, k=many - len(texts))]
    return list(dict.fromkeys(normalize([text]) for text in texts))


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_rows_have_the_groups_that_a_search_of_all_pairs_finds(seed: int) -> None:
    texts = ordinary(3000, seed)
    expected = same_groups(all_pairs(texts)).tolist()
    assert len(set(expected)) < len(texts) - 300
    assert groups_of(texts) == expected


def test_a_search_that_compares_too_little_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "_NEAREST", 0)
    texts = ordinary(3000, 0)
    assert groups_of(texts) != same_groups(all_pairs(texts)).tolist()
