"""Texts to translate, each with the language that it is to be written in: a tag before the text, or the tokenizer's own codes.

Source: Johnson et al. 2017, section 3 (the tag is all that tells one model its directions, so that ones it never saw can be asked
for); codes in the place that a tokenizer was trained with: Liu et al. 2020, section 2.2 (mBART), NLLB Team 2022.
When: one model for several directions. When not: one direction (two columns, text and target, and no language).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunewright.core.errors import UserError, raise_all, unknown
from tunewright.datasets.columns import TEXT_NAMES, find, folded
from tunewright.datasets.table import Table, listed
from tunewright.modalities.processor_files import load_tokenizer
from tunewright.modalities.text import sequences

RECOGNITION_ORDER = 30
TOKENIZED = True
SCRATCH_LOADING = None
load_processor = load_tokenizer

_INTO = frozenset(["target_language", "target_lang", "tgt_language", "tgt_lang"])
_FROM = frozenset(["source_language", "source_lang", "src_language", "src_lang"])
_TEXTS = frozenset(["source", "src", "source_text"]) | TEXT_NAMES
_WRITTEN = frozenset(["target", "tgt", "target_text", "translation", "reference"])
_CODE = re.compile(r"[a-z]{2,3}_[A-Za-z]{2,}")  # fr_XX, fra_Latn


def recognize(table: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column of target languages beside texts to read and texts to write; and of source languages where there is one.

    Where the kind is named, the named columns are text, target language and perhaps source language, whatever they are called.
    """
    if named.get("task") not in (None, "seq2seq"):
        return None
    texts, into, origin = _named_texts(tuple(named.get("text") or ()), named.get("kind") == "translation")
    free = [name for name in table.columns if name not in named.get("side", ())]
    into = into or _only(free, _INTO)
    if not into:
        return None
    origin = origin or _only(free, _FROM)
    texts = texts or _only(free, _TEXTS)
    target = tuple(named.get("target") or ()) or _only([name for name in free if name not in texts], _WRITTEN)
    if len(texts) != 1 or len(target) != 1:
        return None
    return (*texts, *into, *origin), target, "seq2seq"


def _named_texts(names: tuple[str, ...], by_place: bool) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Of the named columns those of texts, of target languages and of source languages."""
    if by_place and len(names) in (2, 3):
        return names[:1], names[1:2], names[2:]
    into = tuple(name for name in names if folded(name) in _INTO)
    origin = tuple(name for name in names if folded(name) in _FROM)
    return tuple(name for name in names if name not in (*into, *origin)), into, origin


def _only(names: Iterable[str], known: frozenset[str]) -> tuple[str, ...]:
    found = tuple(name for name in names if folded(name) in known)
    return found if len(found) == 1 else ()


def read(table: Table, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Text, target language and perhaps source language of each row; a missing language or a cell that is no text is refused."""
    if len(columns) not in (2, 3):
        raise UserError(f"{len(columns)} columns were named", expected="a text, its target language, perhaps its source language")
    faults, cells = [], []
    for place, name in enumerate(columns):
        if place and folded(name) not in map(folded, table.columns):
            told = f"{table.source}: no column '{name}', as the training rows had"
            faults.append(UserError(told, expected="the language of each row, to write it in or that it is in"))
            continue
        found = ["" if cell is None else cell for cell in table.column(find(table, name, "text")[0])]
        wrong = [index for index, cell in enumerate(found) if not isinstance(cell, str) or (place and not cell.strip())]
        if wrong:
            faults.append(
                UserError(f"{table.where(wrong)}: '{name}' is {found[wrong[0]]!r}", expected="a language" if place else "text")
            )
            continue
        cells.append([cell.strip() if place else cell for cell in found])
    raise_all(faults)
    return list(zip(*cells, strict=True))


def shown(row: tuple[Any, ...]) -> str:
    """The text, behind its language."""
    return f"[{row[1]}] {row[0]}"


def compared(row: tuple[Any, ...]) -> tuple[str, ...]:
    """What duplicates are looked for in: the text, and into which language."""
    return (str(row[0]), str(row[1]))


def languages(inputs: Sequence[tuple[Any, ...]]) -> tuple[str, ...]:
    """Languages to write in, in alphabetical order."""
    return tuple(sorted({row[1] for row in inputs}))


def said(inputs: Sequence[tuple[Any, ...]], tag: str, tokenizer: Any) -> str:
    """How the rows' languages are told to the model, in a sentence; tags that the tokenizer cannot tell apart are refused."""
    counts = Counter(row[1] for row in inputs)
    if not has_codes(tokenizer):
        _refuse_alike(sorted(counts), tag, tokenizer)
    how = (
        f"by the tokenizer's own codes, such as {code_of(tokenizer, min(counts))}"
        if has_codes(tokenizer)
        else f"by a tag before the text, such as {tag.replace('{language}', min(counts))!r}"
    )
    into = listed((f"{name} ({counts[name]:,} rows)" for name in sorted(counts)), shown=12)
    return f"languages to write in: {into}; told {how}"


def _refuse_alike(names: Sequence[str], tag: str, tokenizer: Any) -> None:
    read: dict[tuple[int, ...], str] = {}
    for name in names:
        told = tag.replace("{language}", name)
        other = read.setdefault(tuple(tokenizer(told)["input_ids"]), name)
        if other != name:
            raise UserError(
                f"the tokenizer reads the tags of '{other}' and '{name}' alike, as {tokenizer.tokenize(told)}",
                expected="tags of tokens that it knows",
                try_="--set head='{name: generation, tag: \"into {language}: \"}', or other names of the languages",
            )


def encode(
    inputs: Sequence[tuple[Any, ...]],
    wanted: Sequence[str] | None,
    tokenizer: Any,
    inner: Any,
    longest: int,
    most: int,
    *,
    tag: str,
    prefix: str = "",
    known: Sequence[str] = (),
) -> sequences.Encoded:
    """Token ids of both sides, with each row's language told; a language that is neither a code nor in ``known`` is refused."""
    into = [row[1] for row in inputs]
    if has_codes(tokenizer):
        rows = [(prefix + row[0],) for row in inputs]
        return _coded(inputs, rows, wanted, tokenizer, inner, longest, most)
    strange = [name for name in dict.fromkeys(into) if known and name not in known]
    if strange:
        raise unknown("target language", strange[0], known)
    rows = [(tag.replace("{language}", name) + prefix + row[0],) for name, row in zip(into, inputs, strict=True)]
    return sequences.encode(rows, wanted, tokenizer, inner, longest, most)


def has_codes(tokenizer: Any) -> bool:
    """Whether the tokenizer was trained with codes of languages, as those of mBART and NLLB were."""
    return hasattr(tokenizer, "src_lang") and hasattr(tokenizer, "set_tgt_lang_special_tokens")


def code_of(tokenizer: Any, language: str) -> str:
    """The tokenizer's code of a language: 'fr_XX' for itself and for 'fr'; UserError where there is none, or several."""
    codes = [token for token in tokenizer.all_special_tokens if _CODE.fullmatch(token)]
    found = [code for code in codes if code == language or code.startswith(f"{language}_")]
    if len(found) != 1:
        raise unknown("language of the tokenizer:", language, codes)
    return str(found[0])


def _coded(
    inputs: Sequence[tuple[Any, ...]],
    rows: Sequence[tuple[str, ...]],
    wanted: Sequence[str] | None,
    tokenizer: Any,
    inner: Any,
    longest: int,
    most: int,
) -> sequences.Encoded:
    """Rows encoded in one language, whose codes are then put in place; the tokenizer's own languages are left as they were."""
    into = [tokenizer.convert_tokens_to_ids(code_of(tokenizer, row[1])) for row in inputs]
    before = tokenizer.src_lang, tokenizer.tgt_lang
    origin = [code_of(tokenizer, row[2]) if len(row) > 2 else before[0] for row in inputs]
    first = code_of(tokenizer, inputs[0][1])
    tokenizer.src_lang = tokenizer.tgt_lang = first
    try:
        made = sequences.encode(rows, wanted, tokenizer, inner, longest, most)
        begun = sequences.encode([("",)], [""], tokenizer, inner, 8, 8).written.values
    finally:
        tokenizer.src_lang, tokenizer.tgt_lang = before
    code = tokenizer.convert_tokens_to_ids(first)
    place = int(np.flatnonzero(begun == code)[0])  # after what begins every text, or at its very beginning
    given = np.tile(begun[: place + 1], (len(inputs), 1)).astype(np.int64)
    given[:, place] = into
    ids = made.read.ids.copy()
    at = made.read.starts if ids[0] == code else made.read.starts + made.read.lengths - 1
    ids[at] = tokenizer.convert_tokens_to_ids(origin)
    written = replace(made.written, values=made.written.values.copy())
    written.values[written.starts + place] = into
    if wanted is not None and begun[-1] == code:  # mBART's, which closes a text with the code that it begins with
        written.values[written.starts + written.lengths - 1] = into
    return replace(made, read=replace(made.read, ids=ids), written=written, given=given)
