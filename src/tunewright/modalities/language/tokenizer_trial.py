"""Tokenizers that bring regular expressions of their own: tried in a process that can be killed, before they are used here.

An expression can take a time that doubles with every letter, or make the library panic, and nothing here could stop it.
Those of the well-known families are known and are not tried; nor is what needs no file of a stranger's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from tunewright.core.errors import UserError
from tunewright.core.guarded_process import Stopped, Worker

_SECONDS = 8.0  # for opening a file and the texts made here; a sound one takes a fraction of a second (a guess)
_CHARACTERS_PER_SECOND = 20_000  # beyond that; a sound one splits fifty times as many (a guess)
_MEMORY = 4 << 30
_RUN = 2_000  # characters of a text made here

# The expressions of GPT-2, CLIP, Llama 3, Qwen, GPT-4o and of plain splitting, as their files have them.
_CONTRACTIONS = r"'s|'t|'re|'ve|'m|'ll|'d"
_KNOWN = {
    *(
        r"\s+",
        r"\s+$",
        r"\s",
        r".",
        r"\p{P}",
        r"\d",
        r"\p{N}",
        r"\p{N}{1,3}",
        r"[0-9]",
        r"\w+|[^\w\s]+",
        r" {2,}",
        r"[\r\n]",
        r"^ ",
    ),
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+",
    rf"{_CONTRACTIONS}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+",
    *(
        rf"(?i:{_CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        for digits in (r"\p{N}", r"\p{N}{1,3}")
    ),
}
_expressive: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # tokenizers that were tried, and their files


def try_file(file: Path) -> bool:
    """Whether a tokenizer.json brings expressions that are not known; UserError where they hang, panic, or are too large.

    Raises nothing for a file that is no JSON: whoever opens it says so.
    """
    content = file.read_bytes()
    if b'"Regex"' not in content:
        return False
    try:
        patterns = {one for one in _patterns(json.loads(content)) if one not in _KNOWN}
    except (ValueError, RecursionError):
        return False
    if patterns:
        _ask(str(file.resolve()), list(_runs(patterns)), _SECONDS)
    return bool(patterns)


def remember(tokenizer: Any, file: Path) -> None:
    """From now on the texts that this tokenizer splits are tried first."""
    _expressive[tokenizer] = str(file.resolve())


def try_texts(tokenizer: Any, texts: Sequence[str]) -> None:
    """Nothing for most tokenizers; UserError where the expressions of one that was remembered do not end on these texts."""
    file = _expressive.get(tokenizer)
    if file is not None:
        _ask(file, list(texts), _SECONDS + sum(map(len, texts)) / _CHARACTERS_PER_SECOND)


def _patterns(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("Regex"), str):
            yield value["Regex"]
        for one in value.values():
            yield from _patterns(one)
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, (dict, list)):
                yield from _patterns(one)


def _runs(patterns: set[str]) -> Iterator[str]:
    """Long texts of one letter, or of two in turn, with an end that fits none: what makes an expression try everything."""
    letters = dict.fromkeys("a 0A\n.é" + re.sub(r"\\.|[^\w ]", "", "".join(sorted(patterns)))[:20])
    for letter in letters:
        yield letter * _RUN + "!"
        yield f"{letter} " * (_RUN // 2) + "\0"
    yield "The parcel was late, and my card (no. 12) isn't here!\n" * 20


def _ask(file: str, texts: list[str], seconds: float) -> None:
    try:
        said = _worker().ask({"file": file, "texts": texts}, seconds).get("broken")
    except Stopped as stop:
        said = str(stop)
    if said:
        raise UserError(
            f"the tokenizer in '{file}' breaks down on texts that its own regular expressions should split: {said}",
            expected="expressions that end on every text",
            try_="another model",
        )


@cache
def _worker() -> Worker:
    return Worker("tunewright.modalities.language.tokenizer_worker", _MEMORY)
