"""No targets but the pairs themselves: from each image its text is looked for, and from each text its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.core.types import Labels
from tunewright.datasets.targets.unsupervised import encode, faults, read

__all__ = ["DIRECTIONS", "encode", "faults", "labels", "read"]

DIRECTIONS = ("text", "image")  # what is looked for


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """A part for each direction, whose metrics are told apart."""
    return Labels(task, parts=tuple((name, Labels("embedding")) for name in DIRECTIONS))
