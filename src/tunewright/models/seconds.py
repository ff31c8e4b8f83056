"""How many seconds of each sound a network reads: its own choice, or the user's where it is free to choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tunewright.core.errors import UserError
from tunewright.models.network import Network


def fit_seconds(network: Network, seconds: float | None) -> None:
    """Cut sounds at ``seconds`` from now on; a network of one length, and one that reads no sounds, are a ``UserError``."""
    if seconds is None:
        return
    processor: Any = network.processor
    sounds = getattr(processor, "sounds", processor)
    if network.form.kind != "audio":
        raise UserError(
            f"data.max_seconds is for sounds, and these rows are {network.form.kind}", try_="leave data.max_seconds out"
        )
    if sounds.frames and f"{seconds:.4g}" == f"{sounds.max_seconds:.4g}":
        return
    if sounds.frames:
        raise UserError(
            f"data.max_seconds is {seconds:g}, but this model always reads {sounds.max_seconds:.4g} seconds",
            try_="leave data.max_seconds out",
        )
    cut = replace(sounds, max_seconds=seconds)
    network.processor = cut if sounds is processor else replace(processor, sounds=cut)
