"""In which scheme the tags of words are written, told by the tags themselves.

Source: Ramshaw and Marcus 1995 (IOB1); Tjong Kim Sang and Veenstra 1999 (IOB2, IOE1, IOE2); Ratinov and Roth 2009 (BILOU).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tunewright.core.errors import UserError

OUTSIDE = "O"  # the tag of a word in no entity
EXPECTED = (
    "B-PER and I-PER (IOB1, IOB2), I-PER and E-PER (IOE1, IOE2), B-, I-, E- and S-PER (BIOES), B-, I-, L- and U-PER (BILOU), "
    "B-, M-, E- and S-PER (BMES), beside O; or tags without any prefix"
)
_LETTERS = {"IOB": "BI", "IOE": "IE", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES"}
_AS_BIOES = {"L": "E", "U": "S", "M": "I"}  # the same place in an entity by another letter
_KNOWN = frozenset("".join(_LETTERS.values()))
_TYPED = re.compile(rf"([{''.join(sorted(_KNOWN))}])-(.*)", re.DOTALL)
_BEFORE, _BEHIND = re.compile(r"([A-Za-z])([-_:./|])(.+)", re.DOTALL), re.compile(r"(.+)([-_:./|])([A-Za-z])", re.DOTALL)

_CONLL = "an entity is read as CoNLL's evaluation reads it, well formed or not"
_SAID = {
    **{name: f"Tags: {name}; {_CONLL}." for name in ("IOB", "IOE", "BIOES", "BMES")},
    "BILOU": "Tags: BILOU; only well-formed entities count.",
    "runs": "Tags: no prefixes, so words of the same tag in a row are one entity; two that touch cannot be told apart.",
    "none": "Tags: no prefixes and no O, so no entities are counted; the share of right tags (token_accuracy) decides.",
}


@dataclass(frozen=True)
class TagScheme:
    """IOB, IOE, BIOES, BILOU, BMES, ``runs`` (types and O alone) or ``none`` (tags that name no entities).

    ``places``: of each tag the letter of BIOES and the type. ``strict``: what is not well formed is no entity.
    """

    name: str
    places: tuple[tuple[str, str], ...]
    strict: bool = False

    @property
    def has_entities(self) -> bool:
        return self.name != "none"

    @property
    def said(self) -> str:
        """How the tags are read, in one sentence."""
        return _SAID[self.name]


def scheme_of(names: Sequence[str]) -> TagScheme:
    """The scheme of a data set's tags, in their order; one that is not known is a ``UserError``."""
    strange = strange_tags(names)
    if strange:
        raise unknown_scheme(strange, names)
    inside = [name for name in names if name != OUTSIDE]
    if any(map(_is_plain, inside)) or not inside:
        found = "runs" if OUTSIDE in names else "none"
        return TagScheme(found, tuple(("I" if found == "runs" and name != OUTSIDE else OUTSIDE, name) for name in names))
    letters = {name[0] for name in inside}
    found = next(name for name, known in _LETTERS.items() if letters <= set(known))
    places = ((_AS_BIOES.get(name[0], name[0]), name[2:]) for name in names)
    return TagScheme(found, tuple(places), strict=found == "BILOU")


def unknown_scheme(strange: Sequence[str], names: Iterable[str], where: str = "") -> UserError:
    """What was found, and what could be read."""
    shown = ", ".join(map(repr, sorted(names)[:12]))
    odd = f"{', '.join(map(repr, strange[:3]))} {'is' if len(strange) == 1 else 'are'}"
    return UserError(
        f"{where}{': ' if where else ''}{odd} in no scheme of tags that is known; found: {shown}",
        expected=EXPECTED,
        try_="write the tags in one of these schemes",
    )


def strange_tags(names: Collection[str]) -> tuple[str, ...]:
    """Tags that look like one scheme but cannot be read as such, in order; none where all can be read."""
    outside, inside = OUTSIDE in names, sorted({*names} - {OUTSIDE})
    plain = [name for name in inside if _is_plain(name)]
    if not plain:
        return _of_no_one_scheme(inside)
    typed = [name for name in inside if _TYPED.fullmatch(name)]
    begun = [name for name in typed if name[0] in "BI"]
    if begun and len(typed) > 1 and (outside or _shared(typed)):
        return tuple(plain)
    return _spelled_otherwise(plain + typed, outside)


def _is_plain(name: str) -> bool:
    return name not in _KNOWN and not _TYPED.fullmatch(name)


def _of_no_one_scheme(names: Sequence[str]) -> tuple[str, ...]:
    """All have prefixes: those whose letters do not go with the others."""
    letters = {name[0] for name in names}
    if any(letters <= set(known) for known in _LETTERS.values()):
        return ()
    nearest = max(_LETTERS.values(), key=lambda known: len(letters & set(known)))
    return tuple(name for name in names if name[0] not in nearest)


def _shared(names: Iterable[str]) -> set[str]:
    """Types that have several prefixes."""
    letters = defaultdict(set)
    for name in names:
        letters[name[2:]].add(name[0])
    return {kind for kind, some in letters.items() if len(some) > 1}


def _spelled_otherwise(names: Sequence[str], outside: bool) -> tuple[str, ...]:
    """B_PER and I_PER, b-per and i-per, PER-B and PER-I; beside O also one letter before each tag that no scheme has."""
    found: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for name in names:
        for side, pattern, letter, kind in (("before", _BEFORE, 1, 3), ("behind", _BEHIND, 3, 1)):
            if parts := pattern.fullmatch(name):
                found[side, parts[2], parts[kind]][parts[letter].upper()] = name
    everywhere = outside and all(_BEFORE.fullmatch(name) for name in names)
    for (side, sign, _), spelled in found.items():
        meant = len(_KNOWN & set(spelled)) > 1 and bool({"B", "I"} & set(spelled))
        if meant or (len(spelled) > 1 and everywhere and (side, sign) == ("before", "-")):
            return tuple(spelled.values())
    return ()
