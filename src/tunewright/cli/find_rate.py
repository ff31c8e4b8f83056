"""tunewright find-rate: sweep the learning rate and suggest optimization.learning_rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

from tunewright.cli._options import (
    BatchSize,
    Device,
    Json,
    Model,
    Seed,
    Separator,
    Settings,
    Source,
    Strategy,
    Target,
    TaskName,
    Text,
)
from tunewright.cli._output import print_json, tell
from tunewright.cli._recipe import recipe_of

_WIDTH, _LINES = 40, 20


def run(
    source: Source,
    target: Target = None,
    text: Text = None,
    task: TaskName = None,
    separator: Separator = None,
    model: Model = None,
    strategy: Strategy = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    device: Device = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Sweep the learning rate and suggest optimization.learning_rate."""
    recipe = recipe_of(
        source,
        settings,
        model=model,
        target=target,
        text=text,
        task=task,
        separator=separator,
        strategy=strategy,
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    from tunewright.pipeline.planning import find_rate

    found = find_rate(recipe)
    if as_json:
        print_json(asdict(found))
        return
    for line in plot(found.rates, found.smoothed, found.suggestion):
        tell(line)
    tell(found.reason)
    tell(f"--set optimization.learning_rate={found.suggestion:.2g}")


def plot(rates: Sequence[float], losses: Sequence[float], suggested: float) -> list[str]:
    """A bar for each smoothed loss above the lowest, by rising rate; the suggestion is marked."""
    kept = list(zip(rates, losses, strict=True))[:: max(1, len(rates) // _LINES)]
    low = min(loss for _, loss in kept)
    top = min(max(loss for _, loss in kept), 2 * kept[0][1])  # beyond twice the first loss it has diverged
    nearest = min(kept, key=lambda pair: abs(math.log(pair[0] / suggested)))[0]
    lines = []
    for rate, loss in kept:
        bar = "█" * round(_WIDTH * (min(loss, top) - low) / max(top - low, 1e-9))
        lines.append(f"{rate:9.2e}  {loss:8.4f}  {bar}{'  <- suggested' if rate == nearest else ''}".rstrip())
    return lines
