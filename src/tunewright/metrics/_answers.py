"""Answers as SQuAD compares them."""

from __future__ import annotations

import re
from string import punctuation

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", punctuation)


def normalised(answer: str) -> str:
    """Lower case, without ASCII punctuation, then without English articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def right_answers(gold: tuple[str, ...]) -> list[str]:
    """Normalised answers that are not empty; the empty one alone where there is none."""
    return [answer for answer in map(normalised, gold) if answer] or [""]
