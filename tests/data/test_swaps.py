"""Texts about somebody else: every word of a kind swapped once, articles and capitals kept right."""

from __future__ import annotations

import pytest

from tunewright.core.errors import UserError
from tunewright.core.types import Swap
from tunewright.datasets.counterfactual import with_counterfactuals
from tunewright.datasets.prepare import prepare
from tunewright.datasets.word_swaps import _words, side, swap


@pytest.mark.parametrize(
    ("kind", "text", "other"),
    [
        ("gender", "He lost his card and called his mother.", "She lost her card and called her father."),
        ("gender", "I saw her with her brother; it is hers.", "I saw him with his sister; it is his."),
        ("gender", "The book is his.", "The book is hers."),
        ("gender", "MARY SAID SHE'S AN ACTRESS", "JAMES SAID HE'S AN ACTOR"),
        ("gender", "Mrs. Reed and Ms. Lee", "Mr. Reed and Mr. Lee"),
        ("gender", "a waiter and an actress", "a waitress and an actor"),
        ("gender", "the chairs in the shed", "the chairs in the shed"),
        ("names", "Mary met Jamal.", "Latisha met James."),
        ("names", "They harry the mark", "They harry the mark"),
        ("names", "harry potter", "alonzo potter"),
        ("nationality", "An American in France ate a German cake", "A Nigerian in China ate a Mexican cake"),
        ("nationality", "a german cake in Berlin", "a german cake in Berlin"),
        ("nationality", "a german cake", "a mexican cake"),
    ],
)
def test_words_become_their_others(kind: Swap, text: str, other: str) -> None:
    assert swap(text, kind) == other


def test_each_word_has_one_other_and_most_come_back() -> None:
    words = _words("gender")
    assert all(
        words.becomes[words.becomes[word]] == word
        for word in words.becomes
        if word not in ("ms", "mr", "mrs", "her", "his", "hers")
    )
    nations = _words("nationality").becomes
    assert sorted(nations) == sorted(nations.values())
    assert all(word != other for word, other in nations.items())


def test_the_side_is_known_where_only_one_is_named() -> None:
    assert side("he and his father", "gender") == -1
    assert side("she", "gender") == 1
    assert side("she and he", "gender") == 0
    assert side("nobody", "gender") == 0
    assert side("Keisha", "names") == 1
    assert side("an American", "nationality") == 0


def test_training_rows_come_once_more_and_the_others_stay() -> None:
    rows = [
        {"text": f"{'he' if number % 2 else 'it'} is number {number} of them", "label": "ab"[number % 2]} for number in range(40)
    ]
    plain = prepare(train=rows, seed=1)
    more = with_counterfactuals(plain, ("gender", "names"))
    assert (len(more.validation), len(more.test)) == (len(plain.validation), len(plain.test))
    held = [row for row in plain.train.inputs if row[0].startswith("he")]  # type: ignore[union-attr]
    assert len(more.train) == len(plain.train) + len(held)
    for place in range(len(plain.train), len(more.train)):
        text, number = more.train.inputs[place][0], more.train.numbers[place]  # type: ignore[union-attr]
        assert text.startswith("she is number")
        origin = plain.train.numbers.tolist().index(number)  # type: ignore[union-attr]
        assert plain.train.inputs[origin][0] == text[1:]  # type: ignore[union-attr]
        assert more.train.targets[place] == plain.train.targets[origin]
    assert more.said[-2:] == (
        f"{len(held)} training rows are read once more with gender swapped.",
        "0 training rows are read once more with names swapped.",
    )


def test_only_texts_can_be_swapped() -> None:
    rows = [{"age": number, "kind": "xyz"[number % 3], "label": "ab"[number % 2]} for number in range(40)]
    with pytest.raises(UserError, match="these are table"):
        with_counterfactuals(prepare(train=rows, target="label", kind="table", near_duplicates="ignore"), ("gender",))
