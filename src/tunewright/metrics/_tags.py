"""Entities in sequences of tags."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels


def entity_counts(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Entities of each row that are right in place and type, that are wanted, and that were given, (n, 3).

    ``targets`` and ``predicted`` hold the tag numbers (words,) of each row.
    """
    parts = [name.partition("-") for name in labels.names]
    names = [(prefix, kind) for prefix, _, kind in parts]
    counts = np.zeros((len(targets), 3))
    for index, (wanted, given) in enumerate(zip(targets, predicted, strict=True)):
        right, found = ({*entities([names[tag] for tag in side])} for side in (wanted, given))
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
