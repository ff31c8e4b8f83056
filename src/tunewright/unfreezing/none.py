"""Everything that the method trains is open from the first step.

When: the default; a head that starts from a linear probe makes it safe (Kumar et al. 2022). When not: few rows and a random
head, whose first gradients distort what was learnt before (top_down).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tunewright.core.types import Stage


class Settings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def stages(depths: int, lowest: int, epochs: int, settings: Settings) -> tuple[Stage, ...]:
    """One stage."""
    return (Stage(0.0, lowest, "all open"),)
