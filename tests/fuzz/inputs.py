"""Inputs to try: those of the corpus, cut, joined and changed, with the words and values that readers trip over."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

CORPUS = Path(__file__).resolve().parent / "corpus"

_WORDS: tuple[bytes, ...] = (
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\r",
        b"\n",
        b'"',
        b'""',
        b",",
        b";",
        b"\t",
        b"\\",
        b"../",
        b"/",
        b"{",
        b"}",
    ),
    *(b"[", b"]", b"[[[[[[[[", b'{"a":', b"null", b"true", b"NaN", b"-1", b"1e999", b"0", b"18446744073709551616", b"9" * 400),
    *(b"1e-5", b"\\ud800", b"!!python/object/apply:os.system", b"&a [*a]", b"<!ENTITY a 'b'>", b"<!DOCTYPE a>", b"PK\x01\x02"),
    *(b"\x01\0\0\0\0\0\0\x80", b"text,label\n", b": ", b"- ", b"\xed\xa0\x80", "\u2028".encode(), b"__metadata__", b"F64", b"()"),
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 40),
    st.sampled_from([-1, 2**31, 2**63, 2**64, 10**30, 1e308, -0.0, 1e-320]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=12),
    st.sampled_from(["a", "../x", "\0", "os.system", "(a+)+$", "{{ x }}", "bert", "LORA", "rgb", "", "1", "NaN"]),
)
VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=8
)


@cache
def corpus(target: str) -> tuple[bytes, ...]:
    """The files that a target starts from, by their names."""
    return tuple(path.read_bytes() for path in sorted((CORPUS / target).iterdir()))


@st.composite
def changed_bytes(draw: st.DrawFn, target: str) -> bytes:
    """A file of the corpus after up to six small changes."""
    content = draw(st.sampled_from(corpus(target)))
    for _ in range(draw(st.integers(1, 6))):
        place, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            content = content[:place] + draw(st.sampled_from(_WORDS)) + content[place:]
        elif kind == 1:
            content = content[:place] + content[end:]
        elif kind == 2:
            content = content[:place] + bytes([draw(st.integers(0, 255))]) + content[place + 1 :]
        elif kind == 3:
            content = content[:end] + content[place:]
        else:
            content = content[:place] + draw(st.sampled_from(corpus(target)))[place:]
    return content[: 1 << 16]


@st.composite
def changed_values(draw: st.DrawFn, target: str) -> bytes:
    """A JSON file of the corpus in which some values are others, of another kind, gone or doubled."""
    value = json.loads(draw(st.sampled_from([one for one in corpus(target) if _is_json(one)])))
    for _ in range(draw(st.integers(1, 3))):
        value = _changed(draw, value)
    return json.dumps(value).encode()


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    if isinstance(value, dict):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 4)) == 0:
            return {name: one for name, one in value.items() if name != key}
        return value | {key: _changed(draw, value[key])}
    place = draw(st.integers(0, len(value) - 1))
    return [*value[:place], *([] if draw(st.integers(0, 4)) == 0 else [_changed(draw, value[place])]), *value[place + 1 :]]


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """What a target is tried on."""
    found = changed_bytes(target) | st.binary(max_size=200)
    return found | changed_values(target) if any(map(_is_json, corpus(target))) else found
