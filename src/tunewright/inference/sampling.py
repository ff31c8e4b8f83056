"""Drawing tokens from a generator of one's own: nobody else's random numbers are used or put back."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor, TemperatureLogitsWarper, TopPLogitsWarper


class DrawToken(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token of each row, and leaves it as the only possible one for greedy search to take.

    The draws are those that transformers' own sampling makes after ``torch.manual_seed(seed)``.
    """

    def __init__(self, temperature: float, top_p: float, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)
        warpers = [TemperatureLogitsWarper(float(temperature))] if temperature != 1 else []
        self.warpers = [*warpers, *([TopPLogitsWarper(top_p)] if top_p < 1 else [])]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for warp in self.warpers:
            scores = warp(input_ids, scores)
        drawn = torch.multinomial(torch.softmax(scores, -1), 1, generator=self.generator)
        return torch.full_like(scores, float("-inf")).scatter(1, drawn, 0.0)
