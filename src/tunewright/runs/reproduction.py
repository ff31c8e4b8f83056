"""reproduce: make a run again from its folder, and say whether the weights are the same, or what differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tunewright.artifacts.manifest import differences
from tunewright.core.files import read_tensors
from tunewright.runs.run import Run


@dataclass(frozen=True)
class Reproduced:
    """Whether the second run ended in the same weights, bit for bit; if not, what differs between the two."""

    equal: bool
    differences: tuple[str, ...]
    folder: Path


def compare_weights(first: Run, second: Run) -> Reproduced:
    """Compare every saved tensor of two runs, and what they were made of."""
    files = sorted(path.relative_to(first.folder) for path in (first.folder / "model").rglob("*.safetensors"))
    changed = [said for file in files for said in _unequal(first.folder / file, second.folder / file)]
    said = differences(first.manifest, second.manifest)
    return Reproduced(not changed, (*changed, *said), second.folder)


def _unequal(first: Path, second: Path) -> list[str]:
    if not second.is_file():
        return [f"{first.name} was not written again"]
    before, after = read_tensors(first), read_tensors(second)
    if before.keys() != after.keys():
        return [f"{first.name} holds other tensors"]
    unequal = [name for name in before if not torch.equal(before[name], after[name])]
    if not unequal:
        return []
    largest = max(float((before[name] - after[name]).abs().max()) for name in unequal)
    return [f"{len(unequal)} of {len(before)} tensors in {first.name} differ, by {largest:.2g} at most"]
