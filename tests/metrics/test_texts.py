"""Texts against right ones: answers, overlaps, edits, and what happens where a side is empty."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.metrics.kinds import example
from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.types import Labels
from tunewright.metrics._bits import common_length, edit_distance

NONE = Labels("classification")


def value(name: str, gold: tuple[str, ...], given: str) -> float | None:
    found: float | None = load_part("metrics", name).value(object_array([gold]), object_array([given]), NONE)
    return found


@pytest.mark.parametrize(
    ("gold", "given", "exact", "f1"),
    [
        (("The Eiffel Tower.",), "eiffel  tower", 1, 1),
        (("in 1889", "1889"), "1889!", 1, 1),
        (("in the year 1889",), "1889", 0, 0.5),
        (("new new york",), "new york york", 0, 2 / 3),
        ((), "", 1, 1),
        (("",), "", 1, 1),
        ((), "1889", 0, 0),
        (("1889",), "", 0, 0),
        (("", "1889"), "", 0, 0),  # an empty answer beside a real one is none
        (("the",), "A!", 1, 1),  # nothing is left of either
        (("theatre",), "atre", 0, 0),
        (("don't",), "dont", 1, 1),
        (("état",), "État", 1, 1),
    ],
)
def test_answers(gold: tuple[str, ...], given: str, exact: float, f1: float) -> None:
    assert value("exact_match", gold, given) == exact
    assert value("answer_f1", gold, given) == pytest.approx(f1)


def test_bits_do_what_the_tables_do() -> None:
    generator = np.random.default_rng(0)
    for _ in range(120):
        first, second = (list(generator.integers(0, 4, generator.integers(0, 90))) for _ in range(2))
        common, edits = np.zeros((len(first) + 1, len(second) + 1), int), np.zeros((len(first) + 1, len(second) + 1), int)
        edits[:, 0], edits[0] = np.arange(len(first) + 1), np.arange(len(second) + 1)
        for i, one in enumerate(first):
            for j, other in enumerate(second):
                common[i + 1, j + 1] = common[i, j] + 1 if one == other else max(common[i, j + 1], common[i + 1, j])
                edits[i + 1, j + 1] = min(edits[i, j] + (one != other), edits[i, j + 1] + 1, edits[i + 1, j] + 1)
        assert common_length(first, second) == common[-1, -1]
        assert edit_distance(first, second) == edits[-1, -1]


@pytest.mark.parametrize(
    ("name", "gold", "given", "wanted"),
    [
        ("rouge_l", ("police killed the gunman",), "police kill the gunman", 0.75),  # Lin 2004, section 3.1
        ("rouge_l", ("police killed the gunman",), "the gunman kill police", 0.5),
        ("rouge_l", ("xyz", "Die Straße, 3"), "die straße 3", 1.0),
        ("rouge_l", ("",), "", 0.0),
        ("rouge_l", (), "words", 0.0),
        ("word_error_rate", ("a b c",), "a x c d", 2 / 3),
        ("word_error_rate", ("a b c", "a x c"), "a x c d", 1 / 3),
        ("word_error_rate", ("a", "a b c d"), "a b", 1.0),  # one edit from the first, two from the second: the first
        ("word_error_rate", ("a", "a b c"), "a b", 1 / 3),  # one edit from either: the longer
        ("word_error_rate", ("",), "words", None),
        ("word_error_rate", (), "", None),
        ("character_error_rate", (" abc ",), "abd", 1 / 3),
        ("character_error_rate", ("a c",), "ac", 1 / 3),
        ("chrf", ("abc",), "", 0.0),
        ("chrf", ("",), "abc", None),
        ("chrf", ("abc",), "abc", 100.0),
        ("bleu", ("the cat sat on the mat",), "", 0.0),
        ("bleu", ("",), "a cat", None),
        ("bleu", ("the cat sat on the mat",), "the cat sat on the mat", 100.0),
    ],
)
def test_texts(name: str, gold: tuple[str, ...], given: str, wanted: float | None) -> None:
    if name == "bleu":
        pytest.importorskip("sacrebleu")
    found = value(name, gold, given)
    assert found is None if wanted is None else found == pytest.approx(wanted)


@pytest.mark.parametrize(("name", "scorer"), [("bleu", "BLEU"), ("chrf", "CHRF")])
def test_few_and_short_texts_score_as_the_reference_has_it(name: str, scorer: str) -> None:
    """Single rows, where n-grams of an order are missing or none is common, show smoothing and effective orders."""
    library = getattr(pytest.importorskip("sacrebleu.metrics"), scorer)()
    rows, scores = example("texts", 80, seed=3), set()
    for gold, given in [*zip(rows.targets, rows.values, strict=True), (("ab",), "a"), (("ab",), "ba"), (("xy", "ab cd"), "ab")]:
        found = value(name, gold, given)
        assert found == pytest.approx(library.corpus_score([given], [[right] for right in gold]).score)
        scores.add(found)
    assert len(scores) > 30


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    with pytest.raises(UserError, match=r"bleu scores need the package 'sacrebleu.*tunewright\[metrics\]"):
        value("bleu", ("a",), "a")
