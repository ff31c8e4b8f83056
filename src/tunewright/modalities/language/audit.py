"""What a language model is about to be trained on, looked at before it is: learned tokens, ends, cuts, repeats, examples.

Source: Karpathy 2019, A recipe for training neural networks (look at exactly what goes into the network, decoded); Lee et al.
2022, Deduplicating training data makes language models better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.text import printable
from tunewright.core.types import Finding
from tunewright.datasets.table import listed
from tunewright.modalities.language.causal import Encoded
from tunewright.modalities.language.chat_template import Template, writes_marks
from tunewright.modalities.language.conversations import Preference
from tunewright.modalities.language.messages import Conversation
from tunewright.modalities.language.preference import Encoded as Preferences

_SHOWN = 3
_CHARACTERS = 600  # of one example (a guess)


@dataclass(frozen=True)
class Audit:
    """What was noticed, and lines to say it with: the share first, then what is wrong, then examples."""

    findings: tuple[Finding, ...]
    lines: tuple[str, ...]
    share: float  # of all tokens those that are learned


def audit(encoded: Encoded, tokenizer: Any, *, numbers: Sequence[int] | None = None, unit: str = "row") -> Audit:
    """Count what is learned and what is wrong with it; nothing to learn at all is a ``UserError``.

    ``numbers`` are the rows' numbers in their source, from 1 where they are not given.
    """
    if not encoded.learn.any():
        raise nothing_learned(encoded, f"the {unit}s")
    names = np.arange(1, len(encoded) + 1) if numbers is None else np.asarray(numbers)
    share = float(encoded.learn.mean())
    said = (
        f"{int(encoded.learn.sum())} of {len(encoded.ids)} tokens in {len(encoded)} {unit}s are learned ({share:.1%}); "
        f"the longest {unit} has {int(encoded.lengths.max())} tokens, the median {int(np.median(encoded.lengths))}"
    )
    wrong = _ends(encoded)
    noticed = [
        _finding("nothing_learned", np.flatnonzero(encoded.learned == 0), names, unit, "no token is learned"),
        _finding("cut_rows", np.flatnonzero(encoded.cut), names, unit, "longer than fits, so the end was cut off"),
        _finding("end_of_text", wrong, names, unit, "an answer has not exactly one end-of-text token, at its end"),
        _finding("duplicate_rows", _repeats(encoded), names, unit, "the same tokens as an earlier one"),
    ]
    findings = [Finding("trained_share", said, "note", count=int(encoded.learn.sum())), *(one for one in noticed if one)]
    examples = [
        f"{unit} {names[row]}: {printable(_shortened(shown(encoded, row, tokenizer)))}"
        for row in _spread(np.flatnonzero(encoded.learned))
    ]
    return Audit(tuple(findings), (*(finding.message for finding in findings), *examples), share)


def nothing_learned(encoded: Encoded, where: str) -> UserError:
    """Why rows are refused of which no token is learned."""
    longest = int(encoded.lengths.max(initial=0))
    return UserError(
        f"none of the {len(encoded.ids)} tokens of {len(encoded)} rows would be learned ({where})",
        expected="answers that fit into the tokens that are kept",
        try_=f"a data.max_length greater than {longest}, or other columns",
    )


def equal_answers(preferences: Sequence[Preference], numbers: Sequence[int] | None = None) -> list[Finding]:
    """Preferences whose two answers are the same: nothing is learnt from them."""
    same = [place for place, one in enumerate(preferences) if one.chosen.content.strip() == one.rejected.content.strip()]
    names = np.arange(1, len(preferences) + 1) if numbers is None else np.asarray(numbers)
    found = _finding("equal_answers", np.array(same, dtype=int), names, "row", "the chosen and the rejected answer are the same")
    return [found] if found else []


def unjudged(encoded: Preferences, part: str, numbers: Sequence[int]) -> list[Finding]:
    """Rows that are scored although nothing is left of their answers: none is better, so they count as wrong."""
    learned = encoded.flat.learned.reshape(-1, 2)
    nothing = np.flatnonzero((learned.sum(1) if encoded.paired else learned[:, 0]) == 0)
    what = "the prompt leaves no room for an answer, which counts as wrong; a data.max_length that is greater may help"
    found = _finding("nothing_judged", nothing, np.asarray(numbers)[encoded.rows], f"{part} row", what)
    return [found] if found else []


def tokens_in_text(
    template: Template, conversations: Sequence[Conversation], numbers: Sequence[int] | None = None
) -> list[Finding]:
    """Conversations whose messages hold the text of a special token, which is then read as that token."""
    held = [place for place, one in enumerate(conversations) if writes_marks(template, one)]
    names = np.arange(1, len(conversations) + 1) if numbers is None else np.asarray(numbers)
    what = "a message holds the text of a special token, such as '</s>', and is read with that token"
    found = _finding("tokens_in_text", np.array(held, dtype=int), names, "row", what)
    return [found] if found else []


def shown(encoded: Encoded, row: int, tokenizer: Any) -> str:
    """The text of one row with what is learned in double brackets: 'Hello [[Hi!</s>]]'."""
    ids = encoded.row(row)
    text, before = "", ""
    for start, stop, learned in _runs(encoded, row):
        upto = tokenizer.decode(ids[:stop], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        # A tokenizer may write a space or half a character otherwise when more follows: then the run is decoded alone.
        piece = upto[len(before) :] if upto.startswith(before) else tokenizer.decode(ids[start:stop], skip_special_tokens=False)
        text, before = text + (f"[[{piece}]]" if learned else piece), upto
    return text


def _runs(encoded: Encoded, row: int) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, learned) of the stretches of one row that are learned or not."""
    start = int(encoded.starts[row])
    marks = encoded.learn[start : start + int(encoded.lengths[row])]
    bounds = [0, *(np.flatnonzero(np.diff(marks)) + 1).tolist(), len(marks)]
    for begin, stop in pairwise(bounds):
        yield begin, stop, bool(marks[begin])


def _ends(encoded: Encoded) -> np.ndarray:
    """Rows with an answer that has no end token at its end, or another one before; a row's cut end is not asked for one."""
    if not encoded.ends:
        return np.empty(0, dtype=int)
    wrong = []
    for row in range(len(encoded)):
        ids = np.array(encoded.row(row))
        for start, stop, learned in _runs(encoded, row):
            if not learned:
                continue
            closing = np.isin(ids[start:stop], encoded.ends)
            lost = bool(encoded.cut[row]) and stop == len(ids)
            if closing[:-1].any() or not (closing[-1] or lost):
                wrong.append(row)
                break
    return np.array(wrong, dtype=int)


def _repeats(encoded: Encoded) -> np.ndarray:
    """Rows whose ids and marks are those of an earlier row."""
    seen: set[bytes] = set()
    found = []
    for row, (start, length) in enumerate(zip(encoded.starts, encoded.lengths, strict=True)):
        key = encoded.ids[start : start + length].tobytes() + encoded.learn[start : start + length].tobytes()
        if key in seen:
            found.append(row)
        seen.add(key)
    return np.array(found, dtype=int)


def _finding(code: str, rows: np.ndarray, names: np.ndarray, unit: str, what: str) -> Finding | None:
    if not len(rows):
        return None
    found = tuple(int(names[row]) for row in rows)
    return Finding(code, f"{len(rows)} of {len(names)} {unit}s: {what} ({listed(found)})", "warning", found, len(rows))


def _spread(rows: np.ndarray) -> list[int]:
    """The first, a middle and the last of some rows."""
    places = np.unique(np.linspace(0, len(rows) - 1, _SHOWN).round().astype(int))
    return [int(rows[place]) for place in places]


def _shortened(text: str) -> str:
    """The beginning and the end of a long text."""
    half = _CHARACTERS // 2
    return text if len(text) <= _CHARACTERS else f"{text[:half]} … {text[-half:]}"
