"""What the curves say, in words: over-fitting, instability, an end that came too early. Thresholds are ours, and guesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.types import Finding

_RISE = 0.10  # validation loss this much above its lowest, while train loss kept falling
_SPIKE = 3.0  # a step's loss against the median of the ten steps before it
_STILL = 0.03  # validation loss still falling by this share at the last evaluation


def findings(history: Sequence[dict[str, Any]]) -> list[Finding]:
    """Findings from the lines of a history; empty when there is nothing to say."""
    evaluations = [event for event in history if event["kind"] == "evaluation"]
    steps = [event for event in history if event["kind"] == "step"]
    found = (_overfitting(evaluations), _unstable(steps), _unfinished(evaluations))
    return [finding for finding in found if finding is not None]


def _overfitting(evaluations: Sequence[dict[str, Any]]) -> Finding | None:
    losses = [event["scores"]["loss"] for event in evaluations]
    if len(losses) < 3:
        return None
    lowest = int(np.argmin(losses))
    rise = losses[-1] / max(losses[lowest], 1e-12) - 1
    fell = evaluations[-1]["train_loss"] < evaluations[lowest]["train_loss"]
    if lowest == len(losses) - 1 or rise < _RISE or not fell:
        return None
    return Finding(
        "over-fitting",
        f"over-fitting: after evaluation {lowest + 1} of {len(losses)} the training loss kept falling "
        f"(to {evaluations[-1]['train_loss']:.3g}) while the validation loss rose by {rise:.0%} "
        f"(from {losses[lowest]:.3g} to {losses[-1]:.3g}); fewer epochs or more rows would help",
        "warning",
    )


def _unstable(steps: Sequence[dict[str, Any]]) -> Finding | None:
    losses = np.array([event["loss"] for event in steps])
    if len(losses) < 20:
        return None
    before = [np.median(losses[max(0, place - 10) : place]) for place in range(5, len(losses))]
    floor = np.median(losses) * 0.5  # near zero every wobble is a multiple of what was before
    spikes = 5 + np.flatnonzero(losses[5:] > _SPIKE * np.maximum(before, floor))
    if not len(spikes):
        return None
    first = steps[int(spikes[0])]["step"]
    return Finding(
        "instability",
        f"unstable: the loss jumped above {_SPIKE:g} times the steps before it at {len(spikes)} of {len(losses)} steps, "
        f"first at step {first}; "
        "a lower rate or a longer warm-up would help",
        "warning",
        count=len(spikes),
    )


def _unfinished(evaluations: Sequence[dict[str, Any]]) -> Finding | None:
    losses = [event["scores"]["loss"] for event in evaluations]
    if len(losses) < 3 or min(losses) != losses[-1] or losses[-1] > (1 - _STILL) * losses[-2]:
        return None
    return Finding(
        "under-trained",
        f"not finished: the validation loss was still falling by {1 - losses[-1] / losses[-2]:.0%} at the last evaluation; "
        "more epochs would help",
    )
