"""Gradual unfreezing: the head first, then one layer more at a time, from the top down.

Source: Howard and Ruder 2018 (ULMFiT), section 3.3: one layer per epoch. When: few rows, or a source model that must not be
distorted. When not: plenty of rows, where the waiting only costs time.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import Stage


class Settings(BaseModel):
    """How the openings are spread."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(
        0.5, gt=0, le=1, description="Share of the run by which everything is open (a guess; ULMFiT: one epoch per layer)."
    )
    epochs_per_layer: float | None = Field(
        None, gt=0, description="Epochs between two openings, instead of a share; ULMFiT has 1."
    )


def stages(depths: int, lowest: int, epochs: int, settings: Settings) -> tuple[Stage, ...]:
    """The head alone, then each depth down to ``lowest``; a run too short for that opens several layers at a time."""
    head = depths - 1
    layers = head - lowest
    if layers <= 0:
        return (Stage(0.0, lowest, "head only"),)
    gap = settings.share / layers if settings.epochs_per_layer is None else settings.epochs_per_layer / epochs
    starts = [gap * number for number in range(1, layers + 1) if gap * number < 1 - 1e-9]
    if not starts:
        return (Stage(0.0, lowest, "all open: the run is too short for gradual unfreezing"),)
    found = [Stage(0.0, head, "head only")]
    for number, start in enumerate(starts, 1):
        depth = head - layers * number // len(starts)
        opened = found[-1].open_from - depth
        name = "all open" if depth == lowest else f"open from depth {depth}"
        found.append(Stage(start, depth, name if opened == 1 else f"{name} ({opened} layers at once: the run is short)"))
    return tuple(found)
