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
    """The head alone, then each depth down to ``lowest``, evenly spaced; what has no time left opens with the last stage."""
    head = depths - 1
    openings = head - lowest
    if openings <= 0:
        return (Stage(0.0, lowest, "head only"),)
    gap = settings.share / openings if settings.epochs_per_layer is None else settings.epochs_per_layer / epochs
    found = [Stage(0.0, head, "head only")]
    for opened in range(1, openings + 1):
        start = gap * opened
        if start >= 1:  # the run is too short for one at a time: the rest opens with the last stage that has time
            found[-1] = Stage(found[-1].start, lowest, "all open")
            break
        found.append(Stage(start, head - opened, "all open" if opened == openings else f"open from depth {head - opened}"))
    return tuple(found)
