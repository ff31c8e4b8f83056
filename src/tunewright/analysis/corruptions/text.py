"""Typing errors, letter case, lost punctuation and lost ends; what a text says stays readable.

Source: swapped letters and neighboring keys: Belinkov and Bisk 2018, section 3.2; dropped and added letters: Pruthi, Dhingra and
Lipton 2019, section 3.1; both leave the first and last letter and short words alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

Change = Callable[[tuple[Any, ...], np.random.Generator], tuple[Any, ...]]
_Edit = Callable[[str, int, np.random.Generator], str]

_WORD = re.compile(r"[^\W\d_]{4,}")  # words that have an inside
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each row stands half a key to the right of the one above


def _neighbors() -> dict[str, str]:
    found = {}
    for line, keys in enumerate(_KEYS):
        for place, key in enumerate(keys):
            beside = [keys[at] for at in (place - 1, place + 1) if 0 <= at < len(keys)]
            above = [_KEYS[line - 1][at] for at in (place, place + 1) if line and at < len(_KEYS[line - 1])]
            below = [_KEYS[line + 1][at] for at in (place - 1, place) if line < 2 and 0 <= at < len(_KEYS[line + 1])]
            found[key] = "".join(beside + above + below)
    return found


NEIGHBOURS = _neighbors()


def changes(share: float) -> dict[str, Change]:
    """By their names; ``share`` of the words with four letters and more get one typing error."""
    edits: dict[str, _Edit] = {
        "swapped letters": swapped,
        "dropped letters": lambda word, at, _: word[:at] + word[at + 1 :],
        "repeated letters": lambda word, at, _: word[: at + 1] + word[at:],
        "neighboring keys": mistyped,
    }
    plain: dict[str, Callable[[str], str]] = {
        "lower case": str.lower,
        "upper case": str.upper,
        "no punctuation": unpunctuated,
        "second half lost": halved,
    }
    found: dict[str, Change] = {name: partial(_with_errors, edit, share) for name, edit in edits.items()}
    return found | {name: partial(_each, change) for name, change in plain.items()}


def swapped(word: str, at: int, generator: np.random.Generator) -> str:
    """Two letters of the inside, the second not the last of the word."""
    at = min(at, len(word) - 3)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def mistyped(word: str, at: int, generator: np.random.Generator) -> str:
    """A key beside the right one on an English keyboard; other letters stay."""
    keys = NEIGHBOURS.get(word[at].lower(), word[at])
    key = keys[generator.integers(len(keys))]
    return word[:at] + (key.upper() if word[at].isupper() else key) + word[at + 1 :]


def unpunctuated(text: str) -> str:
    """Punctuation becomes a space, but for apostrophes within words."""
    inside = re.sub(r"(?<=\w)['’](?=\w)", "\0", text)
    bare = "".join(" " if unicodedata.category(char).startswith("P") else char for char in inside)
    return re.sub(r" +", " ", bare).replace("\0", "'").strip()


def halved(text: str) -> str:
    """The first half of the words, the larger one; at least one."""
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])


def _with_errors(edit: _Edit, share: float, row: tuple[Any, ...], generator: np.random.Generator) -> tuple[Any, ...]:
    """At least one error in each text that has such a word."""

    def of_text(text: str) -> str:
        words = list(_WORD.finditer(text))
        if not words:
            return text
        chosen = generator.choice(len(words), max(1, round(share * len(words))), replace=False)
        for word in sorted((words[place] for place in chosen), key=lambda found: -found.start()):
            wrong = edit(word[0], int(generator.integers(1, len(word[0]) - 1)), generator)
            text = text[: word.start()] + wrong + text[word.end() :]
        return text

    return tuple(map(of_text, row))


def _each(change: Callable[[str], str], row: tuple[Any, ...], generator: np.random.Generator) -> tuple[Any, ...]:
    return tuple(map(change, row))
