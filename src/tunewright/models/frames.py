"""A video as its frames: an image network reads each, and their answers' mean is the video's.

Where the network's head is linear in what it pools, the mean of its answers is its answer to the frames' mean features.
Source: Wang et al. 2016, Temporal Segment Networks, section 3.1 (average consensus).
"""

from __future__ import annotations

from torch import Tensor


def each_frame(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Videos (batch, frames, channels, height, width) as pictures behind one another."""
    return {**inputs, "pixel_values": inputs["pixel_values"].flatten(0, 1)}


def mean_over_frames(found: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    """What was found for each frame, (batch x frames, …), as its mean over each video, (batch, …)."""
    return found.view(*inputs["pixel_values"].shape[:2], *found.shape[1:]).mean(1)
