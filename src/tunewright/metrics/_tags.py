"""Entities in sequences of tags."""

from __future__ import annotations

import numpy as np

from tunewright.core.tag_schemes import scheme_of
from tunewright.core.types import Labels


def entity_counts(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Entities of each row that are right in place and type, that are wanted, and that were given, (n, 3).

    ``targets`` and ``predicted`` hold the tag numbers (words,) of each row; the tags themselves tell their scheme.
    """
    scheme = scheme_of(labels.names)
    read = well_formed if scheme.strict else entities
    counts = np.zeros((len(targets), 3))
    for index, (wanted, given) in enumerate(zip(targets, predicted, strict=True)):
        right, found = ({*read([scheme.places[tag] for tag in side])} for side in (wanted, given))
        counts[index] = len(right & found), len(right), len(found)
    return counts


def entities(tags: list[tuple[str, str]]) -> list[tuple[str, int, int]]:
    """Type, first word and word after the last of each entity; ``tags`` are prefix and type of each word.

    B, I, E and S as in CoNLL's evaluation: I or E goes on with an entity of its own type and otherwise begins one, so that
    IOB1 and IOB2 are both read; B begins one; E and S end one. Every other prefix is outside.
    """
    found: list[tuple[str, int, int]] = []
    before = ("O", "")
    for place, (prefix, kind) in enumerate(tags):
        goes_on = prefix in ("I", "E") and before[0] in ("B", "I") and before[1] == kind
        if goes_on:
            found[-1] = (kind, found[-1][1], place + 1)
        elif prefix in ("B", "I", "E", "S"):
            found.append((kind, place, place + 1))
        before = (prefix, kind)
    return found


def well_formed(tags: list[tuple[str, str]]) -> list[tuple[str, int, int]]:
    """As ``entities``, but only those that are written as BIOES has them: B, any number of I, then E, all of one type; or S.

    This is seqeval's strict reading.
    """
    found: list[tuple[str, int, int]] = []
    begun: tuple[str, int] | None = None  # type and first word of what may become an entity
    for place, (prefix, kind) in enumerate(tags):
        goes_on = begun is not None and prefix in ("I", "E") and begun[0] == kind
        if prefix == "S":
            found.append((kind, place, place + 1))
        elif begun is not None and goes_on and prefix == "E":
            found.append((kind, begun[1], place + 1))
        begun = (kind, place) if prefix == "B" else begun if goes_on and prefix == "I" else None
    return found
