"""Answers as SQuAD compares them."""

from __future__ import annotations

import re
from string import punctuation

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", punctuation)


def normalized(answer: str) -> str:
    """Lower case, without ASCII punctuation, then without English articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def right_answers(gold: tuple[str, ...]) -> list[str]:
    """Normalized answers that are not empty; the empty one alone where there is none."""
    return [answer for answer in map(normalized, gold) if answer] or [""]
